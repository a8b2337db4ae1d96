/**
 * What a process has seen of its medium's preconditions (PROTOCOL, "Proof of the conditions"). Where
 * they are ignored every create and every swap "succeeds", and two writers overwrite each other:
 * so nothing is acknowledged before they were seen to hold.
 */
import { NotSupportedError, WriteOutcomeUnknownError } from "../core/errors.ts";
import { covers, coversServer, type ProofScope, withProof } from "../core/proof-scope.ts";
import { messageOf } from "../core/realm.ts";
import type { PutOptions, PutResult, StorageBackend } from "./backend.ts";
import { beyondBudget } from "./wrapped-backend.ts";
import { probe, type ProbeOptions } from "./probe.ts";

/** Creates of an existing name that must be accepted: one might follow a deletion by another process. */
const ACCEPTED_MAX = 3;

/** A create as it was sent. */
export interface SentCreate {
  readonly path: string;
  readonly bytes: Uint8Array;
  readonly options: PutOptions;
}

export class Conditions {
  /** A second create was seen to be refused, or the manifest records it. */
  #createsHold = false;
  /** By a probe of this process. */
  #probed: ProofScope | undefined;
  #refusal: NotSupportedError | undefined;

  /** Takes over a manifest's verdict on the server in use. */
  read(backend: StorageBackend, proven: readonly ProofScope[]): void {
    const { proofScope } = backend;
    if (proofScope !== undefined && coversServer(proven, proofScope)) this.#held();
  }

  /** The verdicts of the next manifest. */
  added(proven: readonly ProofScope[]): readonly ProofScope[] {
    return this.#probed === undefined ? proven : withProof(proven, this.#probed);
  }

  /** @throws NotSupportedError once the medium was seen to ignore preconditions */
  check(): void {
    if (this.#refusal !== undefined) throw this.#refusal;
  }

  /**
   * To be called before publishing: probes unless the manifest covers server and client.
   * @param isDisturbed whether others may have deleted the probe's objects; then it proves nothing
   * @returns false when it was disturbed
   * @throws NotSupportedError, and what the backend throws
   */
  async prove(
    backend: StorageBackend,
    proven: readonly ProofScope[],
    options: ProbeOptions,
    isDisturbed: () => Promise<boolean> = async () => false,
  ): Promise<boolean> {
    const { proofScope } = backend;
    if (proofScope === undefined || covers(this.added(proven), proofScope)) return true;
    const wrong = await probe(backend, options);
    if (wrong !== undefined) {
      if (await isDisturbed()) return false;
      throw this.#refuse(proofScope, wrong);
    }
    this.#probed = proofScope;
    this.#held();
    return true;
  }

  /**
   * For a create that was answered, before it is acknowledged: where nothing is known yet it is sent
   * again, and must be refused. Compactions may have deleted it before each time: then one of its witness is.
   * @param witness an object of a new name, which nobody deletes soon
   * @throws NotSupportedError when it is accepted again, and was taken back;
   *   WriteOutcomeUnknownError when it could not be, or this is unknown
   */
  async confirm(
    backend: StorageBackend,
    sent: SentCreate,
    answer: PutResult,
    witness: () => SentCreate,
  ): Promise<void> {
    if (this.#createsHold) return;
    const { proofScope } = backend;
    if (proofScope === undefined) return;
    // The write is out: a budget must not leave it in doubt.
    const unlimited = beyondBudget(backend);
    if (isRefused(answer) || (await isRefusedAgain(unlimited, sent))) return this.#held();
    const created = witness();
    const holds = await isRefusedAgain(unlimited, created);
    // Where this writer may not delete it, a compaction does.
    await unlimited.delete([created.path]).catch(() => undefined);
    if (holds) return this.#held();
    const refusal = this.#refuse(proofScope, "a create of a name that exists was accepted");
    const { path } = sent;
    await unlimited.delete([path]).catch((cause: unknown) => {
      const reason = messageOf(cause);
      throw new WriteOutcomeUnknownError(
        `${refusal.message}. ${path} was written and could not be deleted: ${reason}`,
        { path, cause: refusal },
      );
    });
    throw refusal;
  }

  #held(): void {
    this.#createsHold = true;
    this.#refusal = undefined;
  }

  #refuse({ endpoint, bucket, client }: ProofScope, wrong: string): NotSupportedError {
    this.#refusal = new NotSupportedError(
      `bucket '${bucket}' at ${endpoint || "this endpoint"}, called by ${client}, does not honour ` +
        `If-None-Match and If-Match of a PUT: ${wrong}. Writers would overwrite each other ` +
        "unnoticed, so nothing is written; reading works (readOnly). Use a server that honours " +
        "them (AWS S3, MinIO, R2, Ceph RGW with a bucket that is not versioned)",
      { path: bucket },
    );
    return this.#refusal;
  }
}

function isRefused(answer: PutResult): boolean {
  return answer.status === "conflict" || answer.readBack === true;
}

/** @throws WriteOutcomeUnknownError when it is unknown */
async function isRefusedAgain(
  backend: StorageBackend,
  { path, bytes, options }: SentCreate,
): Promise<boolean> {
  for (let accepted = 0; accepted < ACCEPTED_MAX; accepted++) {
    try {
      const again = await backend.put(path, bytes, { ifAbsent: true }, options);
      if (isRefused(again)) return true;
    } catch (cause) {
      const reason = messageOf(cause);
      throw new WriteOutcomeUnknownError(
        `${path} was written, but whether If-None-Match is honoured could not be determined: ${reason}`,
        { path, cause },
      );
    }
  }
  return false;
}
