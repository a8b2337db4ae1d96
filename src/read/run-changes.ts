/** What differs between the runs of two manifests, in id order and in bounded memory. */
import { compareVersions, type RunEntry } from "../core/version.ts";
import { allRuns, levelsOf } from "../format/levels.ts";
import type { Manifest } from "../format/manifest-codec.ts";
import type { RunInfo } from "../format/run-info.ts";
import { type EntryBatches, mergeSorted } from "../runs/merge.ts";
import type { Engine } from "../engine/engine.ts";
import { piecesOf, takenOver, type VisibleSpan, visibleSpans } from "../runs/visible.ts";
import { scansOf } from "./merged-runs.ts";

/** An id whose winner is another one in the runs that came than in those that went. */
export interface RunChange {
  readonly id: string;
  /** In the runs that went. Undefined: they hold nothing of it. */
  readonly before: RunEntry | undefined;
  /** In the runs that came. Undefined: they hold nothing of it any more. */
  readonly after: RunEntry | undefined;
}

/**
 * Reads the runs that only one of the manifests names, and of the others the spans that were taken
 * over in between, each once; what lies in both is the same.
 * @throws RunGoneError, with the path of the run, or of the catalogue
 */
export async function* runChanges(
  engine: Engine,
  before: Manifest,
  after: Manifest,
): AsyncGenerator<RunChange[]> {
  // What a catalogue describes that both name is the same.
  const [old, now] = await Promise.all([
    openedUnless(engine, before, after),
    openedUnless(engine, after, before),
  ]);
  const changedRuns = (manifest: Manifest, other: Manifest): Reader => {
    const once = engine.runs.once();
    const others = new Map(allRuns(other).map((run) => [run.path, run]));
    const spansOf = (run: RunInfo): VisibleSpan[] => {
      const same = others.get(run.path);
      return same === undefined ? visibleSpans(run) : takenOver(run, same);
    };
    const levels = levelsOf(manifest).map(({ runs }) => [
      { pieces: piecesOf(runs, spansOf).map(({ run, span }) => ({ run: once.open(run), span })) },
    ]);
    return new Reader(mergeSorted(scansOf(levels)));
  };
  const [went, came] = [changedRuns(old, now), changedRuns(now, old)];
  try {
    for (;;) {
      await went.fill();
      await came.fill();
      if (went.entry === undefined && came.entry === undefined) return;
      yield takeChanges(went, came);
    }
  } finally {
    await went.close();
    await came.close();
  }
}

/** The manifest without catalogues that another names too, and with what its others hold. */
async function openedUnless(
  { manifests }: Engine,
  manifest: Manifest,
  other: Manifest,
): Promise<Manifest> {
  if (manifest.catalogues.length === 0) return manifest;
  const shared = new Set(other.catalogues.map(({ path }) => path));
  const catalogues = manifest.catalogues.filter(({ path }) => !shared.has(path));
  return manifests.openManifest({ ...manifest, catalogues });
}

/** Goes on until one of them has to be filled. */
function takeChanges(went: Reader, came: Reader): RunChange[] {
  const changes: RunChange[] = [];
  while (went.isFilled && came.isFilled) {
    const [old, now] = [went.entry, came.entry];
    const id = old === undefined || (now !== undefined && now.id < old.id) ? now?.id : old.id;
    if (id === undefined) break;
    const before = old?.id === id ? old : undefined;
    const after = now?.id === id ? now : undefined;
    if (before !== undefined) went.take();
    if (after !== undefined) came.take();
    if (!isSame(before, after)) changes.push({ id, before, after });
  }
  return changes;
}

/** The tombstone of an archive has the version of what it stands for. */
function isSame(a: RunEntry | undefined, b: RunEntry | undefined): boolean {
  if (a === undefined || b === undefined) return false;
  const isOfOneWrite = compareVersions(a.version, b.version) === 0;
  return isOfOneWrite && (a.text === undefined) === (b.text === undefined);
}

/** A position in a sequence. */
class Reader {
  readonly #batches: AsyncIterator<readonly RunEntry[]>;
  #batch: readonly RunEntry[] = [];
  #at = 0;
  #isDone = false;

  constructor(batches: EntryBatches) {
    this.#batches = batches[Symbol.asyncIterator]();
  }

  /** Undefined when it is to be filled, or at the end. */
  get entry(): RunEntry | undefined {
    return this.#batch[this.#at];
  }

  get isFilled(): boolean {
    return this.#isDone || this.entry !== undefined;
  }

  take(): void {
    this.#at++;
  }

  async fill(): Promise<void> {
    while (!this.isFilled) {
      const next = await this.#batches.next();
      this.#isDone = next.done === true;
      [this.#batch, this.#at] = [next.done === true ? [] : next.value, 0];
    }
  }

  async close(): Promise<void> {
    await this.#batches.return?.();
  }
}
