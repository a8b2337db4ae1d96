/** Transactions of a single writer: decided on its memory, and written as one flush. */
import { ConflictError } from "../core/errors.ts";
import { ABSENT, type ResidentEntry } from "../core/version.ts";
import { evaluate, type TransactionBody, type TransactionLimits } from "./evaluation.ts";
import type { Session } from "./session.ts";
import { TransactionWork } from "./transaction-work.ts";

/** @throws as `Transactions.run` */
export async function runAlone<R>(
  session: Session,
  body: TransactionBody<R>,
  limits: TransactionLimits,
): Promise<R> {
  const { records, replica, writes } = session;
  const { runtime } = session.engine;
  const untilMs = runtime.steadyMs() + limits.deadlineMs;
  const durable = (id: string): ResidentEntry => records.durable(id) ?? ABSENT;
  /** What was written before has a version once it is durable. */
  const load = async (ids: readonly string[]): Promise<void> => {
    do {
      await writes.flush();
      await session.lookup(ids, replica.hasLooked ? undefined : "strong");
    } while (ids.some((id) => records.isStaged(id)));
  };
  for (;;) {
    const work: TransactionWork = new TransactionWork(async (ids) => {
      await load([...work.ids, ...ids]);
      // What is staged meanwhile shows when it is durable: then this is not current any more.
      if (!work.isCurrent(durable)) throw work.outdate();
      return new Map(ids.map((id) => [id, durable(id)]));
    });
    const ended = await evaluate(runtime, { owner: replica, work, body }, { ...limits, untilMs });
    if (ended !== undefined) {
      const ids = [...work.ids];
      // Another may have staged in the moment in which this one had loaded.
      do await load(ids);
      while (ids.some((id) => records.isStaged(id)));
      if (work.isCurrent(durable)) {
        const operations = [...work.staged.values()].filter(
          ({ id, op }) => op === "set" || durable(id).value !== undefined,
        );
        for (const operation of operations) writes.stage(operation);
        if (operations.length > 0) await writes.commit(operations);
        return ended.result;
      }
    }
    if (runtime.steadyMs() < untilMs) continue;
    throw new ConflictError(
      `transaction: what it had read was changed until ${limits.deadlineMs} ms were over; nothing was written`,
    );
  }
}
