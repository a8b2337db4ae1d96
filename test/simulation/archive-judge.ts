/**
 * Judges archives, by the objects themselves: what is archived was written, was asked for and is
 * live no more, and what is live no more was deleted or is archived.
 */
import type { ArchiveInfo } from "../../src/format/manifest-codec.ts";
import { compareOps, describeOp, type Ledger, type Versioned } from "./ledger.ts";
import type { Op } from "./sent-segments.ts";
import type { Truth } from "./truth.ts";

export interface ArchiveJudgeParts {
  readonly ledger: Ledger;
  readonly truth: Truth;
  readonly fail: (rule: string, message: string) => void;
  /** Told what takes the place of each record that is archived. */
  readonly onArchived: (op: Op) => void;
}

/** Archivers ask for the records whose number leaves such a rest, and say so in the name. */
export const THIRDS = 3;

export function periodOf(rest: number, by: string, n: number): string {
  return `${rest} of ${THIRDS}: ${by} ${n}`;
}

export function isOfThird(n: number, rest: number): boolean {
  return n % THIRDS === rest;
}

export class ArchiveJudge {
  readonly #parts: ArchiveJudgeParts;
  /** Paths of archives that were published. */
  readonly #known = new Set<string>();

  constructor(parts: ArchiveJudgeParts) {
    this.#parts = parts;
  }

  /** To be called at every publication, before anything else looks at archives. */
  published(): void {
    const { truth, fail } = this.#parts;
    const archive = truth.archives();
    const current = new Set(archive.map(({ path }) => path));
    for (const path of this.#known) {
      if (!current.has(path)) fail("ARCHIVE", `${path} was published and is forgotten`);
    }
    for (const info of archive) {
      if (this.#known.has(info.path)) continue;
      this.#known.add(info.path);
      for (const [id, entry] of truth.archived(info)) this.#checkEntry(info, id, entry);
    }
  }

  #checkEntry({ path, period }: ArchiveInfo, id: string, entry: Versioned): void {
    const { ledger, fail, onArchived } = this.#parts;
    const op = ledger.landedOf(id).find((landed) => compareOps(landed, entry) === 0);
    if (op === undefined) {
      const found = `${id}=${entry.text} at ${entry.clock}`;
      return fail("INVENTED", `${path} holds ${found}, which never landed`);
    }
    const n = Number(/"n":(\d+)/.exec(entry.text ?? "")?.[1]);
    if (!isOfThird(n, Number(period[0]))) {
      fail("UNASKED", `${path} of "${period}" holds ${describeOp(op)}`);
    }
    if (ledger.archivedOf(id).some((other) => compareOps(other, asTombstone(op)) === 0)) {
      fail("TWICE", `${path} holds ${describeOp(op)}, which is archived already`);
    }
    ledger.archived(asTombstone(op));
    onArchived(op);
  }

  /** A tombstone is somebody's deletion or an archive's, and what is archived is not live. */
  checkWinners(when: string, winners: ReadonlyMap<string, Versioned>): void {
    const { ledger, fail } = this.#parts;
    for (const [id, winner] of winners) {
      const archived = ledger.archivedOf(id);
      const found = `${id}=${winner.text ?? "deleted"} at ${winner.clock}`;
      if (winner.text !== undefined) {
        const above = archived.find((op) => compareOps(op, winner) > 0);
        if (above !== undefined) fail("BOTH", `${when}: ${found} is live and archived`);
        continue;
      }
      const isTold = [...ledger.landedOf(id), ...archived].some(
        (op) => compareOps(op, winner) === 0,
      );
      if (!isTold) fail("NEITHER", `${when}: ${found}, but nobody deleted it, no archive holds it`);
    }
  }

  /** A call has ended: with so many records archived, or (undefined) with an error. */
  ended(period: string, count: number | undefined): readonly Op[] {
    const { truth, ledger, fail } = this.#parts;
    const objects = truth.archives().filter((info) => info.period === period);
    const records = objects.reduce((sum, info) => sum + info.records, 0);
    if (objects.length > 1) fail("TWICE", `one call made ${objects.length} archives "${period}"`);
    if (count === undefined) return [];
    if (records !== count) {
      fail("ARCHIVE", `"${period}" holds ${records} records, its archiver was told ${count}`);
    }
    return objects.flatMap((info) =>
      [...truth.archived(info)].flatMap(([id, entry]) =>
        ledger.archivedOf(id).filter((op) => compareOps(op, { ...entry, text: undefined }) === 0),
      ),
    );
  }
}

/** What takes the place of an archived operation: published, so never to be forgotten. */
function asTombstone(op: Op): Op {
  return { ...op, text: undefined, segment: { ...op.segment, isAcked: true, ops: [] } };
}
