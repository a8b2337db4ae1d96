/**
 * One HTTP exchange with the simulated object store: answered, refused, lost on either way, late,
 * delivered twice, or carried out and answered by an error.
 */
import { RequestError } from "../../src/s3/requests/errors.ts";
import type { Exchange } from "../../src/s3/requests/exchange.ts";
import { drawFate, type Network } from "./network.ts";
import type { ObjectServer } from "./object-server.ts";
import type { SimProcess } from "./sim-process.ts";
import type { NetworkFault } from "./sim-store.ts";

export type HttpFault =
  | NetworkFault
  | "errorAnswers"
  | "errorBodies"
  | "resets"
  | "brokenBodies"
  | "stalledBodies"
  | "partialDeletes";

export interface SimHttpOptions {
  readonly process: SimProcess;
  readonly server: ObjectServer;
  /** Asked for each request, because faults end with the storm. */
  readonly network: () => Network;
  readonly count: (what: HttpFault) => void;
}

/** An answer, or the error that a client makes of one. */
export type Reply<T> = { readonly value: T } | { readonly error: Error; readonly status: number };

export interface Request<T> {
  readonly label: string;
  readonly method: "GET" | "HEAD" | "PUT" | "POST" | "DELETE";
  /** Preconditions, as they are sent. */
  readonly conditions?: Readonly<Record<string, string>>;
  /** The body of a success is read by the caller. */
  readonly isStream?: true;
  readonly act: () => Reply<T>;
}

const ORIGIN = "https://simulated";

/** A second delivery that much later is none of a proxy's. */
const LATE_MS = 5_000;

export class SimHttp {
  readonly #options: SimHttpOptions;

  constructor(options: SimHttpOptions) {
    this.#options = options;
  }

  /** @throws what its answer says, or what becomes of it without one */
  async exchange<T>(request: Request<T>, exchange: Exchange): Promise<T> {
    const { method, conditions: headers = {}, isStream } = request;
    exchange.sent({ method, origin: ORIGIN, path: "", headers });
    let answer: { readonly reply: Reply<T>; readonly date: number };
    try {
      answer = await this.#send(request);
    } catch (error) {
      exchange.unanswered();
      throw error;
    }
    const { reply } = answer;
    const isError = "error" in reply;
    const date = new Date(answer.date).toUTCString();
    exchange.answered({ status: isError ? reply.status : 200, headers: { date } });
    if (isError || isStream !== true) await exchange.read(undefined);
    if (isError) throw reply.error;
    return reply.value;
  }

  /** Takes effect at one moment between now and its answer, or not, or later; may never answer. */
  #send<T>(request: Request<T>): Promise<{ readonly reply: Reply<T>; readonly date: number }> {
    const { process, network, server, count } = this.#options;
    const { kernel, prng } = process;
    const { label, method, act } = request;
    const { stuck, stuckMsMax } = network();
    const isWrite = method !== "GET" && method !== "HEAD";
    const fate = drawFate(network(), prng, isWrite);
    const isStuck = method === "PUT" && prng.chance(stuck);
    const outMs = isStuck ? prng.between(2_000, stuckMsMax) : fate.outMs;
    if (isStuck) count("stuck");
    const effect = (): Reply<T> => {
      const reply = act();
      kernel.trace(`${process.name} ${label} ${"error" in reply ? reply.error.name : ""}`);
      return reply;
    };
    const task = process.requestTask;
    return new Promise((resolve, reject) => {
      const answer = (ms: number, reply: Reply<T>): void => {
        const date = server.dateMs();
        process.deliver(ms, () => resolve({ reply, date }));
      };
      /** Half of what is lost ends with a connection that breaks, the rest in silence. */
      const lose = (ms: number): void => {
        if (!prng.chance(0.5)) return;
        count("resets");
        process.deliver(ms, () => reject(reset()));
      };
      if (fate.isRefused) {
        count("refused");
        return answer(prng.between(2, 40), this.#refusal(request));
      }
      if (fate.duplicateMs !== undefined) {
        count(fate.duplicateMs > LATE_MS ? "lateDuplicates" : "duplicates");
        kernel.after(fate.duplicateMs, effect, { task });
      }
      if (fate.freezeMs !== undefined) {
        count("frozenWrites");
        process.freeze(fate.freezeMs);
      }
      if (outMs === undefined) {
        count("lost");
        return lose(prng.between(2, 400));
      }
      const errorMs = prng.between(2, 400);
      const isError = prng.chance(0.4);
      if (fate.backMs === undefined) count("answersLost");
      const arrive = (): void => {
        const reply = effect();
        if (fate.backMs !== undefined) answer(fate.backMs, reply);
        else if (isError) answer(errorMs, this.#brokenAnswer());
        else lose(errorMs);
      };
      kernel.after(outMs, arrive, { task });
    });
  }

  /** Nothing was done. */
  #refusal<T>({ conditions = {} }: Request<T>): Reply<T> {
    const isConditional = Object.keys(conditions).length > 0;
    const { prng } = this.#options.process;
    if (isConditional && prng.chance(0.3)) return failed("ConditionalRequestConflict", 409);
    return prng.pick([
      failed("SlowDown", 503),
      failed("TooManyRequests", 429),
      failed("ServiceUnavailable", 503),
      failed("InternalError", 500),
    ]);
  }

  /** What was asked for was done, and the answer tells of an error. */
  #brokenAnswer<T>(): Reply<T> {
    const { process, count } = this.#options;
    if (process.prng.chance(0.5)) {
      count("errorAnswers");
      return failed("InternalError", 500);
    }
    count("errorBodies");
    return failed("InternalError", 200);
  }
}

/** An answer with an error code of S3. */
export function failed(
  name: string,
  status: number,
): { readonly error: Error; readonly status: number } {
  return { error: new RequestError({ name, message: name, status }), status };
}

/** A connection that broke. */
export function reset(): Error {
  return Object.assign(new Error("socket hang up"), { code: "ECONNRESET" });
}
