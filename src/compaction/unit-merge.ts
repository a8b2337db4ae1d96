/** What a step merges: the log's winners and the runs of some levels, as far as time and bytes last. */
import { HIDDEN_END, isHidden } from "../core/hidden.ts";
import { compareText, type RunEntry } from "../core/version.ts";
import type { Runtime } from "../core/runtime.ts";
import type { Manifest } from "../format/manifest-codec.ts";
import { type IdSpan, lineBytes, type RunInfo } from "../format/run-info.ts";
import { isOver } from "../format/once-record.ts";
import { isTombstone } from "../format/stored-line.ts";
import { fromSorted, inTurn, mergeParts } from "../runs/merge.ts";
import type { PartsOptions, RunStore } from "../runs/run-reader.ts";
import type { RunBatch, RunBatches } from "../runs/run-writer.ts";
import { WholePartition } from "../runs/whole-partition.ts";
import { entryBytes } from "../runs/run-cutter.ts";
import { behind, intersection, piecesOf } from "../runs/visible.ts";
import { TooSlow } from "../engine/pace.ts";
import type { CompactionPlan } from "./plan.ts";
import { isSealed } from "./purge.ts";

/** Of what is read ahead of all levels together; each holds about three spans. */
const SPANS_BYTES_MAX = 4 * 1024 * 1024;
const SPAN_BYTES_MIN = 128 * 1024;
const SPAN_BYTES_MAX = 2 * 1024 * 1024;

export interface UnitMergeOptions {
  readonly plan: CompactionPlan;
  readonly logged: ReadonlyMap<string, RunEntry>;
  /** Generation of the manifest: whatever its runs hold was published by then. */
  readonly generation: number;
  /** Tombstones at or below it are left out; undefined: none may be. */
  readonly purgeFloor: number | undefined;
  /** Hidden records that ended before this date of the medium become tombstones. */
  readonly endedMs: number;
  /** Of these, what the lanes have not passed a seal of is kept. */
  readonly sealing: Pick<Manifest, "lanes" | "sealed">;
  /** The bound of a plan that is not whole. */
  readonly unitBytesMax: number;
  /** As `CopyOptions` documents. */
  readonly indexBytesMin: number;
  readonly schemaMin: number;
  /** The pace by which it is decided what there is time to copy, until it is known. */
  readonly assumedBytesPerMs: number;
  /** By the steady clock: a plan that is not whole ends then, levels that join the log must have. */
  readonly untilMs: number;
  readonly signal: AbortSignal | undefined;
}

export class UnitMerge {
  readonly #runs: RunStore;
  readonly #runtime: Runtime;
  readonly #options: UnitMergeOptions;
  readonly #startedMs: number;
  #readBytes = 0;
  #to: string | undefined;
  #purgedSince: number | "new" = 0;

  constructor(runs: RunStore, runtime: Runtime, options: UnitMergeOptions) {
    this.#runs = runs;
    this.#runtime = runtime;
    this.#options = options;
    this.#to = options.plan.to;
    this.#startedMs = runtime.steadyMs();
  }

  /** What was merged, once `entries` has ended. */
  get span(): IdSpan {
    return { from: this.#options.plan.from, to: this.#to };
  }

  /** Of the tombstones left out, as `Change` documents; 0: none. */
  get purgedSince(): number | "new" {
    return this.#purgedSince;
  }

  /** Bytes of the lines of runs read so far. */
  get readBytes(): number {
    return this.#readBytes;
  }

  /** The winners of the plan's span in id order. @throws the signal's reason; TooSlow */
  async *entries(): AsyncGenerator<RunBatch> {
    const { logged, plan, signal } = this.#options;
    let bytes = 0;
    const sources = [fromSorted(inOrder(logged)), ...this.#sources()];
    // Prompt: the time may be over while it waits for slow runs of few records.
    for await (const batch of mergeParts<RunEntry, WholePartition>(sources, { isPrompt: true })) {
      signal?.throwIfAborted();
      this.#checkPace();
      if (batch instanceof WholePartition) {
        yield batch;
        bytes += batch.bytes;
        this.#count(batch.content.records, batch.run);
        if (plan.isWhole || !this.#isEnough(bytes)) continue;
        this.#to = batch.to;
        return;
      }
      const over = plan.isWhole
        ? -1
        : batch.findIndex((entry) => this.#isEnough((bytes += entryBytes(entry))));
      const last = over < 0 ? undefined : batch[over];
      const kept = this.#withoutPurged(last === undefined ? batch : batch.slice(0, over + 1));
      yield this.#withoutEnded(kept);
      if (last === undefined) continue;
      this.#to = behind(last.id);
      return;
    }
  }

  /** What is whole cannot end early, but the log can do without the levels. */
  #checkPace(): void {
    const { plan, untilMs } = this.#options;
    if (!plan.isWhole || plan.taken.length === 0) return;
    if (this.#runtime.steadyMs() >= untilMs) throw new TooSlow(this.#readBytes);
  }

  #isEnough(bytes: number): boolean {
    const { unitBytesMax, untilMs } = this.#options;
    return Math.max(bytes, this.#readBytes) >= unitBytesMax || this.#runtime.steadyMs() >= untilMs;
  }

  /** Whether a part of a run can be copied before the merge has to end. */
  #hasTime(bytes: number): boolean {
    const { plan, untilMs, assumedBytesPerMs } = this.#options;
    if (plan.isWhole) return true;
    const now = this.#runtime.steadyMs();
    const pace =
      this.#readBytes > 0 ? this.#readBytes / (now - this.#startedMs) : assumedBytesPerMs;
    return now + bytes / pace < untilMs;
  }

  /** One for each level: its pieces within the span, one after the other. */
  #sources(): RunBatches[] {
    const { levels, taken, from, to, isWhole } = this.#options.plan;
    const { indexBytesMin, schemaMin } = this.#options;
    const share = Math.floor(SPANS_BYTES_MAX / Math.max(1, taken.length));
    const spanBytesMax = Math.min(SPAN_BYTES_MAX, Math.max(SPAN_BYTES_MIN, share));
    const hasTime = (bytes: number): boolean => this.#hasTime(bytes);
    const copy = { indexBytesMin, schemaMin, hasTime };
    return taken.map((at) =>
      inTurn(
        piecesOf(levels[at]?.runs ?? []).map(({ run, span }) => () => {
          const shared = intersection(span, { from, to });
          // A scan of everything verifies it at its end: too late for one that may be left.
          const options = { byBlocks: !isWhole, spanBytesMax, copy };
          return shared === undefined ? fromNothing() : this.#read(run, { ...shared, ...options });
        }),
      ),
    );
  }

  async *#read(run: RunInfo, options: PartsOptions): AsyncGenerator<RunBatch> {
    if (run.minId >= HIDDEN_END || options.from >= HIDDEN_END)
      return yield* this.#parts(run, options);
    const { to, copy } = options;
    // What is copied unread would stay for ever.
    const hidden = { ...options, copy: { ...copy, indexBytesMin: Infinity } };
    yield* this.#parts(run, {
      ...hidden,
      to: to === undefined || to > HIDDEN_END ? HIDDEN_END : to,
    });
    if (to === undefined || to > HIDDEN_END) {
      yield* this.#parts(run, { ...options, from: HIDDEN_END });
    }
  }

  async *#parts(run: RunInfo, options: PartsOptions): AsyncGenerator<RunBatch> {
    const since = run.since ?? this.#options.generation;
    for await (const batch of this.#runs.open(run).parts(options)) {
      if (batch instanceof WholePartition) {
        batch.onEntries = (count) => this.#count(count, run);
        yield batch;
        continue;
      }
      yield run.tombstones === 0 ? batch : batch.map((entry) => noted(entry, since));
      this.#count(batch.length, run);
    }
  }

  #count(entries: number, run: RunInfo): void {
    this.#readBytes += (entries / run.records) * lineBytes(run);
  }

  #withoutEnded(batch: readonly RunEntry[]): readonly RunEntry[] {
    const [first] = batch;
    if (first === undefined || first.id >= HIDDEN_END) return batch;
    const { endedMs } = this.#options;
    return batch.map((entry) => {
      // The text of others is not read.
      const text = isHidden(entry.id) && !isTombstone(entry) ? entry.text : undefined;
      return text !== undefined && isOver(text, endedMs) ? ended(entry) : entry;
    });
  }

  #withoutPurged(batch: readonly RunEntry[]): readonly RunEntry[] {
    const { purgeFloor, sealing } = this.#options;
    if (purgeFloor === undefined) return batch;
    return batch.filter((entry) => {
      const { since } = entry;
      const isKept =
        !isTombstone(entry) || entry.version.clock > purgeFloor || !isSealed(since, sealing);
      if (!isKept) this.#purgedSince = later(this.#purgedSince, since ?? "new");
      return isKept;
    });
  }
}

/** E7: at its own version, as an archive does. It is purged by a later pass. */
function ended({ id, version, schemaVersion }: RunEntry): RunEntry {
  return { id, version, schemaVersion, text: undefined };
}

function inOrder(entries: ReadonlyMap<string, RunEntry>): RunEntry[] {
  return [...entries.values()].toSorted((a, b) => compareText(a.id, b.id));
}

/** A tombstone keeps the generation that held it first. */
function noted(entry: RunEntry, since: number): RunEntry {
  if (!isTombstone(entry) || entry.since !== undefined) return entry;
  const { id, version, schemaVersion } = entry;
  return { id, version, schemaVersion, text: undefined, since };
}

function later(a: number | "new", b: number | "new"): number | "new" {
  return a === "new" || b === "new" ? "new" : Math.max(a, b);
}

async function* fromNothing(): AsyncGenerator<readonly RunEntry[]> {}
