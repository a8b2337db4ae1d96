/** Creates objects that are never written again (ONCE), and tells whose bytes have the name. */
import { WriteOutcomeUnknownError } from "../core/errors.ts";
import type { Dated, StorageBackend } from "../storage/backend.ts";
import { hashId } from "../core/hash.ts";
import { encodeTransaction } from "../format/claim.ts";
import { txnPath } from "../format/paths.ts";
import type { Conditions, SentCreate } from "../storage/conditions.ts";
import { beyondBudget } from "../storage/wrapped-backend.ts";

/** The medium, and how long it may take to learn an outcome. */
export interface PutThrough {
  readonly backend: StorageBackend;
  /** Called before each attempt: how long it may take. */
  readonly timeoutMs: () => number;
  /** Aborts when no caller waits any more: nothing is sent after that. */
  readonly signal?: AbortSignal;
  /** Called with the object's path before it is sent. */
  readonly onSend?: (path: string) => void;
}

/** What became of a create, by the date of the answer that shows it. */
export type Created =
  /** The name holds these bytes: ours (an answer may have been lost), or the same ones of a clone. */
  | ({ readonly status: "written" } & Dated)
  /** Another's bytes have the name. */
  | ({ readonly status: "taken"; readonly body: Uint8Array } & Dated)
  /** The name was taken, and is free again. */
  | ({ readonly status: "gone" } & Dated);

/**
 * @param conditions what is known of the medium's preconditions
 * @throws UnavailableError, BudgetExceededError and NotSupportedError when nothing was written,
 *   WriteOutcomeUnknownError when it may have been
 */
export async function createObject(
  { backend, timeoutMs, signal }: PutThrough,
  path: string,
  bytes: Buffer,
  conditions: Conditions,
): Promise<Created> {
  const options = { timeoutMs: timeoutMs(), signal };
  const put = await backend.put(path, bytes, { ifAbsent: true }, options);
  const witness = (): SentCreate => ({ ...witnessOf(path), options });
  await conditions.confirm(backend, { path, bytes, options }, put, witness);
  if (put.status === "written") return { status: "written", dateMs: put.dateMs };
  const found = await beyondBudget(backend)
    .get(path)
    .catch((cause: unknown) => {
      throw new WriteOutcomeUnknownError(`${path} exists, but could not be read back`, {
        path,
        cause,
      });
    });
  const { dateMs } = found;
  if (found.status !== "found") return { status: "gone", dateMs };
  if (bytes.equals(found.body)) return { status: "written", dateMs };
  return { status: "taken", body: found.body, dateMs };
}

/** P4: a transaction of nobody, which was aborted: it is collected as others are, but not for a while (K4). */
function witnessOf(path: string): Pick<SentCreate, "path" | "bytes"> {
  const hash = hashId(path).toString("hex");
  const abort = { kind: "abort", nonce: hash.slice(16, 32) } as const;
  return { path: txnPath({ t: 0, rand: hash.slice(0, 16) }), bytes: encodeTransaction(abort) };
}
