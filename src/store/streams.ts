/**
 * Streams of a store's content for programs that keep it elsewhere: the snapshot, then what was
 * written since. Through the backend and in bounded memory, whatever is resident.
 */
import { UnavailableError } from "../core/errors.ts";
import { isHidden } from "../core/hidden.ts";
import type { LogOperation, Operation } from "../core/operation.ts";
import { parseRecord } from "../core/record.ts";
import { compareVersions, type RunEntry, type Version } from "../core/version.ts";
import type { Manifest } from "../format/manifest-codec.ts";
import type { Run } from "../runs/run.ts";
import { RunGoneError } from "../runs/run-gone.ts";
import {
  type Attempt,
  followStream,
  followView,
  makeView,
  openView,
  renewView,
  runsOf,
  settleView,
  type View,
} from "../view/view.ts";
import { levelStretches } from "../view/level-stretches.ts";
import { publicOperation } from "../session/known-log.ts";
import { type LiveOperation, LiveOperations } from "../read/log-replay.ts";
import type { Engine } from "../engine/engine.ts";
import type { ResidentReads } from "./reads.ts";
import { aboveRuns, lookUpRuns, scansOf, streamChanges } from "../read/merged-runs.ts";
import { migrateRecord } from "../core/schema.ts";
import type { Session } from "../session/session.ts";
import { UndoneRecords } from "./undone-records.ts";
import { streamView } from "../read/merged-view.ts";

/** What remains of a stream of operations when a compaction makes it go over to a newer view. */
interface Progress {
  /** Every operation of the log up to here was given or left out. */
  after: Version;
  readonly undone: UndoneRecords;
}

export class Streams<T> {
  readonly #session: Session;
  readonly #engine: Engine;
  readonly #reads: ResidentReads<T>;
  /** Of the snapshot streamed last, with what its catalogues hold: what came into the runs since is not in it. */
  #base: View | undefined;

  constructor(session: Session, reads: ResidentReads<T>) {
    this.#session = session;
    this.#engine = session.engine;
    this.#reads = reads;
  }

  /** As `Store.streamSnapshot` documents. */
  async *snapshot(): AsyncGenerator<[string, T]> {
    const { manifests } = this.#engine;
    const first = await renewView(manifests, this.#session.replica.view);
    const view = await followView(manifests, first, (attempt) => openView(manifests, attempt.view));
    this.#base = view;
    let isWhole = false;
    try {
      for await (const batch of this.#ofRuns(view)) {
        this.#session.checkOpen();
        for (const entry of batch) {
          if (entry.text !== undefined && !isHidden(entry.id))
            yield [entry.id, this.#record(entry, entry.text)];
        }
      }
      isWhole = true;
    } finally {
      // Who has not taken all of it does not count on what follows it.
      if (!isWhole && this.#base === view) this.#base = undefined;
    }
  }

  #ofRuns(first: View): AsyncIterable<readonly RunEntry[]> {
    const { manifests, runs } = this.#engine;
    const unsorted = first.legacy?.run;
    if (unsorted?.isSorted === false) return this.#asItLies(unsorted);
    return streamView(manifests, first, {}, ({ view }, range) => {
      const levels = levelStretches(runs.once(), manifests, view);
      return Promise.resolve({ sources: scansOf(levels, range) });
    });
  }

  /** In the order of its writer: sorting it would take the memory of all of it. */
  async *#asItLies(run: Run): AsyncGenerator<readonly RunEntry[]> {
    try {
      yield* run.entries();
    } catch (error) {
      if (!(error instanceof RunGoneError)) throw error;
      const { path } = error;
      const message = "the store was upgraded while its snapshot was streamed: stream it again";
      throw new UnavailableError(message, { path, cause: error });
    }
  }

  /** As `Store.getWalOps` documents. */
  async *operations(since = ""): AsyncGenerator<Operation<T>> {
    await this.#session.flush();
    const { manifests, log } = this.#engine;
    const look = await makeView(manifests, log, this.#session.replica.view);
    const settled = await settleView(manifests, look);
    const opened = (attempt: Attempt): Promise<View> => openView(manifests, attempt.view);
    const view = await followView(manifests, settled, opened);
    for (const error of view.corrupt) this.#session.replica.onCorrupt(error);
    const base = this.#base ?? view;
    const progress = {
      after: { clock: -1, agent: "", writerNonce: "" },
      undone: new UndoneRecords(),
    };
    const batches = followStream(manifests, view, (attempt) => {
      return this.#ofView(attempt, base, progress);
    });
    for await (const batch of batches) {
      this.#session.checkOpen();
      for (const operation of batch) {
        if (operation.ts > since && !isHidden(operation.id)) yield operation;
      }
    }
  }

  /** Ends early when segments turn out to be gone. */
  async *#ofView(attempt: Attempt, base: View, progress: Progress): AsyncGenerator<Operation<T>[]> {
    const { manifests } = this.#engine;
    const settled = await settleView(manifests, attempt.view);
    const view = (attempt.view = await openView(manifests, settled));
    checkTellable(base, view);
    for (const error of view.corrupt) this.#session.replica.onCorrupt(error);
    const live = new LiveOperations(this.#engine, view, (error) =>
      this.#session.replica.onCorrupt(error),
    );
    yield* this.#ofLive(view, base.loaded.manifest, live, progress);
    for (const key of live.gone) attempt.gone.add(key);
  }

  async *#ofLive(
    view: View,
    base: Manifest,
    live: LiveOperations,
    progress: Progress,
  ): AsyncGenerator<Operation<T>[]> {
    await live.survey();
    if (live.gone.size > 0) return;
    progress.undone.expect(live.undos);
    yield* this.#netChanges(view, base, progress);
    const runs = runsOf(this.#engine.runs, view);
    for await (const batch of live.inOrder()) {
      const rest = batch.filter(({ version }) => compareVersions(version, progress.after) > 0);
      const above = await aboveRuns(runs, view.loaded.manifest.clock, rest);
      await beginUndone(runs, above, progress);
      const shown = above.filter((each) => progress.undone.shows(each, live.isUndone(each)));
      progress.after = rest.at(-1)?.version ?? progress.after;
      yield shown.map(({ segment, operation }) => this.#operation(segment, operation));
    }
  }

  /**
   * What compactions moved from the log into runs since `base`. Winners at or below what was given
   * are left out: they were returned themselves, or were never promised.
   */
  async *#netChanges(
    { loaded: { manifest, lastModifiedMs, dateMs } }: View,
    base: Manifest,
    { after, undone }: Progress,
  ): AsyncGenerator<Operation<T>[]> {
    if (manifest.generation === base.generation) return;
    const at = new Date(lastModifiedMs ?? dateMs).toISOString();
    const ts = manifest.stats?.lastCheckpoint ?? at;
    for await (const batch of streamChanges(this.#engine, manifest, base)) {
      const later = batch.filter(({ version }) => compareVersions(version, after) > 0);
      for (const { id, text } of later) {
        if (undone.expects(id))
          undone.begin(id, text === undefined ? undefined : parseRecord(id, text));
      }
      yield later.map(({ id, version: { clock, agent }, schemaVersion, text }) => {
        if (text === undefined)
          return this.#operation({ agent, schemaVersion }, { ts, op: "delete", id, clock });
        return this.#operation(
          { agent, schemaVersion },
          { ts, op: "set", id, clock, data: parseRecord(id, text) },
        );
      });
    }
  }

  #operation(
    segment: { readonly agent: string; readonly schemaVersion: number },
    operation: LogOperation,
  ): Operation<T> {
    const shown = publicOperation<T>(segment, operation);
    if (operation.op === "delete") return shown;
    return { ...shown, data: this.#handOut(operation.id, operation.data, segment.schemaVersion) };
  }

  #record({ id, schemaVersion }: RunEntry, text: string): T {
    return this.#handOut(id, parseRecord(id, text), schemaVersion);
  }

  #handOut(id: string, value: unknown, version: number): T {
    return this.#reads.record(migrateRecord(this.#engine.schema, id, value, version));
  }
}

/** What undos restored is compared with what was there before, in the snapshot at first. */
async function beginUndone(
  runs: readonly Run[],
  operations: readonly LiveOperation[],
  { undone }: Progress,
): Promise<void> {
  // Without an index, each batch would read all of it. An undo that is reported changes nothing.
  if (!runs.every(({ isSorted }) => isSorted)) return;
  const changed = operations.map(({ operation }) => operation.id);
  const ids = new Set(changed.filter((id) => undone.needsBefore(id)));
  const winners = await lookUpRuns(runs, ids);
  for (const id of ids) {
    const text = winners.get(id)?.text;
    undone.begin(id, text === undefined ? undefined : parseRecord(id, text));
  }
}

/** @throws UnavailableError when nothing is left that shows what happened since `base` */
function checkTellable(base: View, { loaded, legacy }: View): void {
  const isReplaced = legacy !== undefined && legacy.run.path !== base.legacy?.run.path;
  if (loaded.manifest.lastPurge <= base.loaded.manifest.generation && !isReplaced) return;
  const what = isReplaced ? "the original opslog made a new snapshot" : "deletions were purged";
  throw new UnavailableError(`${what} since the snapshot was streamed: stream the snapshot again`);
}
