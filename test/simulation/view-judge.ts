/** Judges what readers see: never less than was acknowledged, never a part of a batch. */
import { compareOps, describeOp, type Ledger } from "./ledger.ts";
import type { Op } from "./sent-segments.ts";
import type { Truth } from "./truth.ts";

/** Records by id, as text, as a reader sees them. */
export type Seen = ReadonlyMap<string, string>;

export interface ViewJudgeParts {
  readonly ledger: Ledger;
  readonly truth: Truth;
  readonly fail: (rule: string, message: string) => void;
}

export class ViewJudge {
  readonly #ledger: Ledger;
  readonly #truth: Truth;
  readonly #fail: ViewJudgeParts["fail"];
  /** Per id, the highest operation that anybody has seen. */
  readonly seen = new Map<string, Op>();

  constructor({ ledger, truth, fail }: ViewJudgeParts) {
    this.#ledger = ledger;
    this.#truth = truth;
    this.#fail = fail;
  }

  /**
   * Checks what a reader sees of `ids`.
   * @param least what it must see at least: its mark, and what it wrote itself
   */
  check(reader: string, ids: readonly string[], seen: Seen, least: ReadonlyMap<string, Op>): void {
    const current = new Map<string, Op>();
    for (const id of ids) {
      const text = seen.get(id);
      const op = text === undefined ? undefined : this.#newest(text, id);
      if (text !== undefined && op === undefined) {
        this.#fail("INVENTED", `${reader} sees ${id}=${text}, which never landed`);
        continue;
      }
      if (op !== undefined) current.set(id, op);
      this.#checkLeast(reader, id, op, least.get(id));
    }
    this.#checkBatches(reader, ids, current);
    for (const [id, op] of current) {
      const before = this.seen.get(id);
      if (before === undefined || compareOps(op, before) > 0) this.seen.set(id, op);
    }
  }

  /** Whether that is exactly what the objects hold now. */
  checkExact(reader: string, ids: readonly string[], seen: Seen): void {
    const winners = this.#truth.winners();
    for (const id of ids) {
      const [found, winner] = [seen.get(id), winners.get(id)];
      if (found === winner?.text || this.#ledger.isVanished(id, found, winner)) continue;
      this.#fail("DIVERGED", `${reader} sees ${id}=${found}, the objects hold ${winner?.text}`);
    }
  }

  /** A frame behind a seal went with its file, and a reader keeps what it has seen of it (FENCE). */
  #isVanished({ id, text }: Op): boolean {
    return this.#ledger.isVanished(id, text, this.#truth.winners().get(id));
  }

  #newest(text: string, id: string): Op | undefined {
    const ops = this.#ledger.landedWith(text).filter((op) => op.id === id);
    return ops.toSorted(compareOps).at(-1);
  }

  #checkLeast(reader: string, id: string, op: Op | undefined, least: Op | undefined): void {
    if (least === undefined) return;
    if (op === undefined ? this.#ledger.mayBeAbsent(id, least) : compareOps(op, least) >= 0) return;
    const isDeleted = least.text === undefined;
    const { purgeFloor } = this.#truth.manifest();
    if (!least.segment.isAcked && least.segment.objectLo <= purgeFloor) return;
    const found = op === undefined ? "nothing" : describeOp(op);
    const rule = isDeleted ? "RESURRECTED" : least.segment.isAcked ? "ACKED" : "UNSEEN";
    this.#fail(rule, `${reader} sees ${found}, expected at least ${describeOp(least)}`);
  }

  /** A segment is seen whole or not at all, but for what is superseded. */
  #checkBatches(reader: string, ids: readonly string[], current: ReadonlyMap<string, Op>): void {
    for (const op of current.values()) {
      for (const other of op.segment.ops) {
        if (!ids.includes(other.id)) continue;
        const seen = current.get(other.id);
        const isThere =
          seen === undefined
            ? this.#ledger.mayBeAbsent(other.id, other)
            : compareOps(seen, other) >= 0;
        if (isThere || this.#isVanished(op)) continue;
        const found = seen === undefined ? "nothing" : describeOp(seen);
        this.#fail(
          "TORN",
          `${reader} sees ${describeOp(op)}, but ${found}, not ${describeOp(other)}`,
        );
      }
    }
  }
}
