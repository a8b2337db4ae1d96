/** One evaluation of a transaction's function: what it has read, on what base, and what it writes. */
import { ConflictError, InvalidArgumentError } from "../core/errors.ts";
import { compareVersions, type ResidentEntry } from "../core/version.ts";
import type { StagedOperation } from "./memtable.ts";

const IDS_MAX = 64;
const BYTES_MAX = 8 * 1024 * 1024;
/** JSON around a record in its line, roughly. */
const LINE_BYTES = 200;

/** The entries of records that nobody can change any more, as of one view that holds what was read before. */
export type ReadEntries = (
  ids: readonly string[],
  work: TransactionWork,
) => Promise<ReadonlyMap<string, ResidentEntry>>;

export class TransactionWork {
  /** What it depends on. */
  readonly bases = new Map<string, ResidentEntry>();
  /** The last operation on each record. */
  readonly staged = new Map<string, StagedOperation>();
  readonly #readEntries: ReadEntries;
  #bytes = 0;
  #isOver = false;
  #isOutdated = false;

  constructor(readEntries: ReadEntries) {
    this.#readEntries = readEntries;
  }

  /** Others have changed what it has read: it begins again, whatever becomes of it. */
  get isOutdated(): boolean {
    return this.#isOutdated;
  }

  get hasEnded(): boolean {
    return this.#isOver;
  }

  get ids(): ReadonlySet<string> {
    return new Set([...this.bases.keys(), ...this.staged.keys()]);
  }

  /**
   * The records as they are with what was staged; undefined: there is none.
   * @throws InvalidArgumentError after the end, and for too many ids
   */
  async read(ids: readonly string[]): Promise<ReadonlyMap<string, unknown>> {
    this.#checkRoom(ids);
    const unread = ids.filter((id) => !this.bases.has(id) && !this.staged.has(id));
    if (unread.length > 0) {
      const entries = await this.#readEntries(unread, this);
      this.#checkOpen();
      for (const [id, entry] of entries) this.bases.set(id, entry);
    }
    return new Map(ids.map((id) => [id, this.#valueOf(id)]));
  }

  #valueOf(id: string): unknown {
    const staged = this.staged.get(id);
    return staged === undefined ? this.bases.get(id)?.value : staged.value;
  }

  /** @throws InvalidArgumentError after the end, for too many ids or bytes */
  stage(operation: StagedOperation): void {
    const { id } = operation;
    this.#checkRoom([id]);
    const bytes = this.#bytes + sizeOf(operation) - sizeOf(this.staged.get(id));
    if (bytes > BYTES_MAX) {
      throw new InvalidArgumentError(
        `a transaction holds at most ${BYTES_MAX} bytes, found ${bytes}`,
      );
    }
    this.#bytes = bytes;
    this.staged.set(id, operation);
  }

  /** Whether what it has read is still there. @param durable the entry of now */
  isCurrent(durable: (id: string) => ResidentEntry): boolean {
    return [...this.bases].every(([id, base]) => isSame(base, durable(id)));
  }

  /** @returns what its calls fail with, which its function may catch in vain */
  outdate(): ConflictError {
    this.#isOutdated = true;
    return new ConflictError("a record that the transaction has read was changed: it begins again");
  }

  end(): void {
    this.#isOver = true;
  }

  #checkOpen(): void {
    if (this.#isOutdated) throw this.outdate();
    if (this.#isOver) throw new InvalidArgumentError("this transaction has ended");
  }

  #checkRoom(ids: readonly string[]): void {
    this.#checkOpen();
    const count = new Set([...this.ids, ...ids]).size;
    if (count <= IDS_MAX) return;
    throw new InvalidArgumentError(
      `a transaction reads and writes at most ${IDS_MAX} records, found ${count}`,
    );
  }
}

/** The tombstone of an archive has the version of the record. */
function isSame(a: ResidentEntry, b: ResidentEntry): boolean {
  const isBoth = (a.value === undefined) === (b.value === undefined);
  return isBoth && compareVersions(a.version, b.version) === 0;
}

function sizeOf(operation: StagedOperation | undefined): number {
  if (operation === undefined) return 0;
  const { id, text = "" } = operation;
  return Buffer.byteLength(id) + Buffer.byteLength(text) + LINE_BYTES;
}
