/**
 * Scans: records in id order, whether they are in memory, in the log or in runs, read a span ahead
 * of the consumer. An id counts as memory has it, the rest is merged from log and runs.
 */
import { isHidden } from "../core/hidden.ts";
import { parseRecord } from "../core/record.ts";
import { compareText, type Entry, ResidentEntry, type RunEntry, wins } from "../core/version.ts";
import { type Segment, versionOf } from "../format/segment.ts";
import { type EntryBatches, fromMap, fromSorted } from "../runs/merge.ts";
import { levelStretches } from "../view/level-stretches.ts";
import { type Attempt, settleView, type View } from "../view/view.ts";
import { SegmentReader } from "../read/segment-reader.ts";
import type { ResidentReads } from "./reads.ts";
import { scansOf } from "../read/merged-runs.ts";
import {
  isEmptyRange,
  isWithin,
  type ResolvedScan,
  resolveScan,
  type ScanOptions,
} from "./scan-range.ts";
import { migrateRecord } from "../core/schema.ts";
import type { Session } from "../session/session.ts";
import { type IdRange, streamView } from "../read/merged-view.ts";

/** An entry of a run or of the log, or what memory knew of an id when the scan began. */
interface ScanEntry extends RunEntry {
  /** As this program works with it; a value undefined means that there is no such record. */
  readonly known?: { readonly value: unknown };
}

/** Above that of every operation. */
const KNOWN_VERSION = { clock: Infinity, agent: "", writerNonce: "" };

export class Scans<T> {
  readonly #session: Session;
  readonly #reads: ResidentReads<T>;

  constructor(session: Session, reads: ResidentReads<T>) {
    this.#session = session;
    this.#reads = reads;
  }

  /** As `Store.scan` documents. */
  async *scan(options?: ScanOptions): AsyncGenerator<[string, T]> {
    const resolved = resolveScan(options);
    const { range, limit, freshness } = resolved;
    if (limit === 0 || isEmptyRange(range)) return;
    await this.#session.freshen(freshness);
    let given = 0;
    for await (const batch of this.#batches(resolved)) {
      for (const entry of batch) {
        this.#session.checkOpen();
        const value = this.#valueOf(entry);
        if (value === undefined) continue;
        yield [entry.id, this.#reads.record(value)];
        given++;
        if (given >= limit) return;
      }
    }
  }

  /** View and memory are taken at one moment: they stand for each other. */
  #batches({ range, limit }: ResolvedScan): AsyncIterable<readonly ScanEntry[]> {
    const { engine, replica } = this.#session;
    const known = this.#knownWithin(range);
    if (replica.complete) return fromSorted(known);
    return streamView<ScanEntry>(
      engine.manifests,
      replica.viewWithOwn,
      range,
      async (attempt, rest) => {
        attempt.view = await this.#settle(attempt.view);
        replica.shown(attempt.view);
        const log = await this.#readLog(attempt, rest);
        if (attempt.gone.size > 0) return { sources: [] };
        const levels = levelStretches(engine.runs, engine.manifests, attempt.view);
        const runs = scansOf(levels, { ...rest, recordsWanted: limit });
        const memory = fromSorted(known.filter(({ id }) => isWithin(rest, id)));
        return { sources: [...runs, log, memory], isPrompt: true };
      },
    );
  }

  #knownWithin(range: ResolvedScan["range"]): ScanEntry[] {
    const known: ScanEntry[] = [];
    for (const [id, value] of this.#session.records.known()) {
      if (!isWithin(range, id)) continue;
      known.push({
        id,
        version: KNOWN_VERSION,
        schemaVersion: 0,
        text: undefined,
        known: { value },
      });
    }
    known.sort((a, b) => compareText(a.id, b.id));
    return range.reverse ? known.reverse() : known;
  }

  /**
   * The log's operations in the range, all of them in memory: its names do not show which ids lie
   * between two. Under a newer manifest it is read again: what was merged before must not outlive a
   * purge (RELOAD).
   */
  async #readLog({ view, gone }: Attempt, range: IdRange): Promise<EntryBatches> {
    const { replica, engine } = this.#session;
    const reader = new SegmentReader(engine, view, {
      held: (key) => replica.history.segments(key),
      keeps: true,
      onCorrupt: (error) => replica.onCorrupt(error),
    });
    const winners = new Map<string, Entry>();
    const missing = await reader.read(view.segments, (_, segments) => {
      for (const segment of segments) mergeWithin(range, segment, winners);
    });
    for (const key of missing) gone.add(key);
    return fromMap(winners, range);
  }

  /** One list names many segments that need not be read. */
  async #settle(view: View): Promise<View> {
    const settled = await settleView(this.#session.engine.manifests, view);
    for (const error of settled.corrupt) this.#session.replica.onCorrupt(error);
    return settled;
  }

  #valueOf({ id, schemaVersion, text, known }: ScanEntry): unknown {
    if (known !== undefined) return known.value;
    if (text === undefined || isHidden(id)) return undefined;
    return migrateRecord(this.#session.engine.schema, id, parseRecord(id, text), schemaVersion);
  }
}

function mergeWithin(range: IdRange, segment: Segment, winners: Map<string, Entry>): void {
  const { schemaVersion, operations } = segment;
  for (const operation of operations) {
    const { id, data } = operation;
    if (!isWithin(range, id)) continue;
    const entry = new ResidentEntry(versionOf(segment, operation), schemaVersion, data);
    if (wins(entry, winners.get(id))) winners.set(id, entry);
  }
}
