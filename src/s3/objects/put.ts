/**
 * PUT of one object until its outcome is known. The same bytes under the same precondition are sent
 * again after every failure that leaves the outcome open or surely did nothing; an answer 412 after
 * an open outcome may be our own earlier attempt, and reading back shows it.
 */
import {
  NotSupportedError,
  UnavailableError,
  WriteOutcomeUnknownError,
} from "../../core/errors.ts";
import { messageOf } from "../../core/realm.ts";
import {
  type Precondition,
  PUT_TIMEOUT_MS,
  type PutOptions,
  type PutResult,
} from "../../storage/backend.ts";
import { dateOf, type EtagHeader, normalizeEtag, type S3Bucket } from "../requests/client.ts";
import type { Failure, S3Call } from "../requests/errors.ts";
import { getObject } from "./get.ts";
import { backoffMs, pause } from "../requests/retry.ts";
import type { Input } from "../requests/transport.ts";

/** Two forms of an etag, each tried twice, in case a parallel request flips between. */
const FORMS_TRIED_MAX = 4;

/** The least time limit of an attempt, also of one that begins close to the deadline. */
const ATTEMPT_MS_MIN = 1_000;

type Verdict = PutResult | "other-form" | "repeat" | "absent";

export async function putObject(
  bucket: S3Bucket,
  path: string,
  body: Uint8Array,
  precondition: Precondition,
  { timeoutMs = PUT_TIMEOUT_MS }: PutOptions,
): Promise<PutResult> {
  return new SettledPut(bucket, path, body, precondition, timeoutMs).run();
}

class SettledPut {
  readonly #bucket: S3Bucket;
  readonly #path: string;
  readonly #body: Uint8Array;
  readonly #precondition: Precondition;
  readonly #deadlineMs: number;
  readonly #call: S3Call;
  /** The failure since which the object may or may not hold our bytes. */
  #doubt: Failure | undefined;

  constructor(
    bucket: S3Bucket,
    path: string,
    body: Uint8Array,
    precondition: Precondition,
    timeoutMs: number,
  ) {
    this.#bucket = bucket;
    this.#path = path;
    this.#body = body;
    this.#precondition = precondition;
    this.#deadlineMs = bucket.runtime.steadyMs() + timeoutMs;
    this.#call = { operation: "PutObject", permission: "s3:PutObject", path };
  }

  async run(): Promise<PutResult> {
    const { runtime, etags } = this.#bucket;
    let formsTried = 1;
    for (let failures = 1; ; failures++) {
      const sent = this.#ifMatch();
      const limitMs = Math.max(ATTEMPT_MS_MIN, this.#deadlineMs - runtime.steadyMs());
      const limits = { limitMs, bytesOut: this.#body.byteLength };
      const input = this.#input(sent);
      const result = await this.#bucket.attempt(
        (s3, exchange) => s3.putObject(input, exchange),
        { ...this.#call, conditions: conditionsOf(input) },
        limits,
      );
      if (result.ok) {
        if (sent !== undefined) etags.putAccepted(sent);
        const etag = normalizeEtag(result.output.etag);
        return { status: "written", etag, dateMs: result.dateMs };
      }
      const { failure } = result;
      if (result.repeated) this.#doubt ??= failure;
      const verdict = await this.#judge(failure, sent, result);
      if (typeof verdict === "object") return verdict;
      if (verdict === "other-form" && sent !== undefined) {
        if (++formsTried > FORMS_TRIED_MAX) throw this.#noSwap(failure);
        etags.putRefused(sent);
        continue;
      }
      await this.#pauseBefore(failures, failure);
    }
  }

  /** A value ends the put, "repeat" repeats it after a pause; everything else throws. */
  async #judge(
    failure: Failure,
    sent: EtagHeader | undefined,
    answer: { readonly dateMs: number | undefined },
  ): Promise<PutResult | "other-form" | "repeat"> {
    switch (failure.kind) {
      case "unknown":
      case "undated":
        this.#doubt ??= failure;
        if (failure.kind === "unknown") return "repeat";
        throw this.#unknown(failure);
      case "refused":
      case "contended":
        return "repeat";
      case "precondition":
      case "absent": {
        if (this.#precondition === "none") throw this.#failed(failure);
        const verdict = await this.#settle(failure, sent, dateOf(answer));
        if (verdict === "absent") throw this.#unknown(failure);
        return verdict;
      }
      default:
        throw this.#failed(failure);
    }
  }

  /** What a precondition that does not hold means. */
  async #settle(failure: Failure, sent: EtagHeader | undefined, dateMs: number): Promise<Verdict> {
    const { etags } = this.#bucket;
    if (this.#doubt !== undefined) return this.#readBack(sent);
    // AWS answers 404 to If-Match on nothing, Ceph RGW 412.
    if (sent === undefined || failure.kind === "absent" || etags.putSettled) {
      return { status: "conflict", dateMs };
    }
    const head = await this.#bucket.head(this.#path);
    const current = normalizeEtag(head.output?.etag ?? "");
    return current === normalizeEtag(sent.value)
      ? "other-form"
      : { status: "conflict", dateMs: head.dateMs };
  }

  /** After an open outcome the stored bytes decide whether ours landed. */
  async #readBack(sent: EtagHeader | undefined): Promise<Verdict> {
    try {
      const now = await getObject(this.#bucket, this.#path, {});
      if (now.status !== "found") return "absent";
      const { etag, dateMs } = now;
      if (Buffer.compare(now.body, this.#body) === 0) {
        return { status: "written", etag, dateMs, readBack: true };
      }
      if (sent !== undefined && etag === normalizeEtag(sent.value)) {
        return this.#bucket.etags.putSettled ? "repeat" : "other-form";
      }
      return { status: "conflict", dateMs };
    } catch (error) {
      throw new WriteOutcomeUnknownError(
        `${this.#name()} may have taken effect, and reading it back failed: ${messageOf(error)}`,
        { path: this.#path, cause: error },
      );
    }
  }

  async #pauseBefore(failures: number, failure: Failure): Promise<void> {
    const { runtime, signal } = this.#bucket;
    const pauseMs = backoffMs(runtime, failure, failures);
    const isLate = runtime.steadyMs() + pauseMs >= this.#deadlineMs;
    if (isLate || signal?.aborted === true) throw this.#late(failure, failures);
    await pause(runtime, pauseMs, signal);
  }

  #input(sent: EtagHeader | undefined): Input<"putObject"> {
    const ifAbsent = this.#precondition !== "none" && "ifAbsent" in this.#precondition;
    return {
      ...this.#bucket.object(this.#path),
      body: this.#body,
      ifNoneMatch: ifAbsent ? "*" : undefined,
      ifMatch: sent?.value,
    };
  }

  #ifMatch(): EtagHeader | undefined {
    const { etags } = this.#bucket;
    if (this.#precondition === "none" || !("ifMatch" in this.#precondition)) return undefined;
    return etags.forPut(this.#precondition.ifMatch);
  }

  #name(): string {
    const { bucket, prefix } = this.#bucket.place;
    return `S3 PutObject of s3://${bucket}/${prefix}${this.#path}`;
  }

  #late(failure: Failure, attempts: number): Error {
    if (this.#doubt !== undefined) return this.#unknown(this.#doubt);
    return new UnavailableError(
      `${this.#name()} was not carried out in time (${attempts} attempts), last: ` +
        `${failure.name}: ${failure.message}`,
      { path: this.#path, cause: failure.cause },
    );
  }

  /** A definite failure; but an earlier attempt may have landed, or may still land. */
  #failed(failure: Failure): Error {
    if (this.#doubt !== undefined) return this.#unknown(failure);
    return this.#bucket.error(failure, this.#call);
  }

  #unknown(failure: Failure): WriteOutcomeUnknownError {
    return new WriteOutcomeUnknownError(
      `${this.#name()} may or may not have taken effect: ${failure.name}: ${failure.message}`,
      { path: this.#path, cause: failure.cause },
    );
  }

  #noSwap(failure: Failure): Error {
    return new NotSupportedError(
      `${this.#name()} with If-Match is refused although the etag is current: ` +
        "this server does not support compare-and-swap",
      { path: this.#path, cause: failure.cause },
    );
  }
}

/** Of the request that leaves. */
function conditionsOf({ ifMatch, ifNoneMatch }: Input<"putObject">): Record<string, string> {
  return {
    ...(ifMatch === undefined ? {} : { "if-match": ifMatch }),
    ...(ifNoneMatch === undefined ? {} : { "if-none-match": ifNoneMatch }),
  };
}
