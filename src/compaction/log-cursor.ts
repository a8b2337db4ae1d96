/** The log that a pass merges, page by page: what is listed is read before more is listed. */
import { append } from "../core/bulk.ts";
import type { CorruptionError } from "../core/errors.ts";
import type { Log, LogPart, LogUnit, OfferedLog, LogRef } from "../log/log.ts";

/** What is offered to a pass that merges no log. */
export const NO_OFFER: Pick<Log, "offer"> = {
  async *offer() {
    yield { units: [], leftOut: false, corrupt: [], dateMs: 0 };
  },
};

export class LogCursor {
  readonly #offers: AsyncGenerator<OfferedLog, void>;
  #isMerged: (ref: LogRef) => boolean = () => false;
  #units: LogUnit[] = [];
  #isAtEnd = false;
  #leftOut = false;
  #firstDateMs: number | undefined;
  #corrupt: CorruptionError[] = [];

  /** @param part default: the whole log */
  constructor(log: Pick<Log, "offer">, part?: LogPart) {
    this.#offers = log.offer(part);
  }

  /** Begins the listing. */
  async open(): Promise<void> {
    await this.#more();
  }

  /** Date of the first page. */
  get firstDateMs(): number {
    return this.#firstDateMs ?? 0;
  }

  /** Everything that was listed was taken. */
  get isDrained(): boolean {
    return this.#isAtEnd && this.#units.length === 0;
  }

  /** All is listed, and what was not taken of it begins above a clock. */
  isClearOf(clock: number): boolean {
    const isAbove = ({ segments }: LogUnit): boolean => segments.every(({ lo }) => lo > clock);
    return this.#isAtEnd && this.#units.every(isAbove);
  }

  /** Something that was listed stays in the log: no purge. */
  get leftOut(): boolean {
    return this.#leftOut;
  }

  /** @param isMerged whether the runs hold a segment, which only waits to be deleted */
  leaveOut(isMerged: (ref: LogRef) => boolean): void {
    this.#isMerged = isMerged;
    this.#units = this.#units.filter((unit) => !this.#isDone(unit));
  }

  /** What was listed and not taken yet, the rest of a page at most; none at the end of the log. */
  async next(): Promise<LogUnit[]> {
    while (this.#units.length === 0 && !this.#isAtEnd) await this.#more();
    return this.#units.splice(0);
  }

  /** Units that were not begun: the next ones to be taken. */
  putBack(units: readonly LogUnit[]): void {
    this.#units = [...units, ...this.#units];
  }

  /** Part of what was taken could not be read, and stays. */
  keep(): void {
    this.#leftOut = true;
  }

  /** What was found since the last call and cannot be read. */
  takeCorrupt(): readonly CorruptionError[] {
    const corrupt = this.#corrupt;
    this.#corrupt = [];
    return corrupt;
  }

  async close(): Promise<void> {
    await this.#offers.return();
  }

  async #more(): Promise<void> {
    const next = await this.#offers.next();
    if (next.done === true) {
      this.#isAtEnd = true;
      return;
    }
    const { units, leftOut, corrupt, dateMs } = next.value;
    this.#firstDateMs ??= dateMs;
    this.#leftOut ||= leftOut || units.some((unit) => unit.corrupt);
    append(this.#corrupt, corrupt);
    for (const unit of units) if (!unit.corrupt && !this.#isDone(unit)) this.#units.push(unit);
  }

  /** An empty file holds nothing, and is still to be deleted. */
  #isDone({ segments }: LogUnit): boolean {
    return segments.length > 0 && segments.every((ref) => this.#isMerged(ref));
  }
}
