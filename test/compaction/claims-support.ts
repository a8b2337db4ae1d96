/** Stores in memory with claims in their lanes, as guarded writers would have left them. */
import type { CompactionReport } from "../../src/compaction/report.ts";
import type { CompactionTask } from "../../src/compaction/report.ts";
import type { Version } from "../../src/core/version.ts";
import type { Claim, GuardedOperation, Transaction } from "../../src/format/claim.ts";
import { claimPath, type LanePlace, txnPath } from "../../src/format/paths.ts";
import {
  absentAt,
  claimBytes,
  dataClaim,
  guarded,
  idOf,
  NO_RECENT,
  nonce,
  transactionBytes,
  versionAfter,
} from "../support/claims.ts";
import { GRACES, LIMITS, Scene } from "./tasks-support.ts";

export const GUARD_GRACE_MS = 60_000;
/** Longer than the graces, and than the dates of a medium may be wrong. */
export const LONG_MS = 10 * 60_000;
export { GRACES, LIMITS };

export class LaneScene extends Scene {
  /** The last guarded operation on each record. */
  readonly #versions = new Map<string, Version>();

  base(id: string): Version {
    return this.#versions.get(id) ?? absentAt(0);
  }

  /** On what the one before it left. @param data undefined: it is deleted */
  operation(id: string, data: unknown, base = this.base(id)): GuardedOperation {
    const made = guarded(id, base, data);
    this.#versions.set(id, versionAfter(made));
    return made;
  }

  async claim(place: LanePlace, ...operations: GuardedOperation[]): Promise<string> {
    return this.put(dataClaim(place, operations));
  }

  /** A set of the lane's first id. */
  async set(place: LanePlace, data: unknown): Promise<string> {
    return this.claim(place, this.operation(idOf(place.lane), data));
  }

  async intent(place: LanePlace, txn: string, writes = [idOf(place.lane)]): Promise<string> {
    const head = { ...place, nonce: nonce(), recent: NO_RECENT(place.n) };
    return this.put({ kind: "intent", ...head, txn, reads: [], writes });
  }

  async put(claim: Claim): Promise<string> {
    return this.#create(claimPath(claim), claimBytes(claim));
  }

  async decide(path: string, transaction: Transaction): Promise<void> {
    await this.#create(path, transactionBytes(transaction));
  }

  async commit(
    path: string,
    at: readonly LanePlace[],
    ...operations: GuardedOperation[]
  ): Promise<void> {
    await this.decide(path, { kind: "commit", nonce: nonce(), at, operations });
  }

  async #create(path: string, bytes: Uint8Array): Promise<string> {
    const put = await this.backend.put(path, bytes, { ifAbsent: true });
    if (put.status === "conflict") throw new Error(`${path} is taken`);
    return path;
  }

  async damage(path: string): Promise<void> {
    await this.backend.put(path, Buffer.from("not a claim\n"), "none");
  }

  async text(path: string): Promise<string | undefined> {
    const found = await this.backend.get(path);
    return found.status === "found" ? Buffer.from(found.body).toString() : undefined;
  }

  /** Passes until there is nothing to do. */
  async settle(task?: CompactionTask): Promise<CompactionReport[]> {
    const reports: CompactionReport[] = [];
    for (let count = 0; count < 20; count++) {
      const report = await this.pass(task);
      reports.push(report);
      if (report.outcome !== "published") return reports;
    }
    throw new Error("the passes do not end");
  }
}

/** A store with lanes, one record and no log. */
export async function laneScene(): Promise<LaneScene> {
  const made = new LaneScene();
  await made.backend.initialize("store", { readOnly: false });
  await made.write([["a", "first"]]);
  await made.settle();
  await made.runtime.advance(GRACES.segmentGraceMs + 1_000);
  await made.settle();
  return made;
}

export function txnOf(n: number): string {
  return txnPath({ t: 1_795_356_093 + n, rand: n.toString(16).padStart(16, "a") });
}
