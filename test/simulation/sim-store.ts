/**
 * The object store as one process sees it: a `StorageBackend` over the simulated server, with a
 * client that repeats requests and settles ambiguous writes as `src/s3` does.
 */
import { UnavailableError, WriteOutcomeUnknownError } from "../../src/core/errors.ts";
import { MediumClock, momentOf } from "../../src/core/medium-clock.ts";
import { MANIFEST_PATH } from "../../src/format/paths.ts";
import type {
  GetOptions,
  GetResult,
  ListOptions,
  ListPage,
  Precondition,
  PutOptions,
  PutResult,
} from "../../src/storage/backend.ts";
import { BaseBackend } from "../../src/storage/base-backend.ts";
import { drawFate, type Fate, type Network } from "./network.ts";
import {
  byName,
  etagOf,
  isCompactorLease,
  type ObjectServer,
  shuffledBy,
} from "./object-server.ts";
import type { SimProcess } from "./sim-process.ts";

export interface SimBackendOptions {
  readonly process: SimProcess;
  readonly server: ObjectServer;
  /** Asked for each request, because faults end with the storm. */
  readonly network: () => Network;
  /** How wrong the date of an answer is that the estimate is made of. */
  readonly dateErrorMs: (nowMs: number) => number;
  /** Told of each write before it is sent. */
  readonly onAttempt: (process: string, path: string, body: Uint8Array) => void;
  readonly count: (what: NetworkFault) => void;
  /** Each process has leases of its own: nobody keeps anybody out. */
  readonly arePrivateLeases: boolean;
  /** Pages come in an order of the server's own, not by name. */
  readonly isListUnordered: boolean;
}

export type NetworkFault =
  | "refused"
  | "lost"
  | "answersLost"
  | "duplicates"
  | "lateDuplicates"
  | "stuck"
  | "frozenWrites"
  | "frozenLooks"
  | "stalledPages"
  | "straddledLists"
  | "partedLists"
  | "conflicts";

type Answer<T> =
  | { readonly kind: "answered"; readonly value: T }
  | { readonly kind: "refused" }
  /** No answer in time: the outcome is unknown. */
  | { readonly kind: "silent" };

export const ATTEMPT_TIMEOUT_MS = 2_000;
const READS_MAX = 3;
const PUT_TIMEOUT_MS = 20_000;
/** A second delivery that much later is none of a proxy's. */
const LATE_MS = 5_000;

export class SimBackend extends BaseBackend {
  readonly #options: SimBackendOptions;
  readonly clock: MediumClock | undefined;
  #listings = 0;
  /** Calls, whatever it takes to get them answered. */
  manifestGets = 0;

  constructor(options: SimBackendOptions) {
    super();
    this.#options = options;
    this.clock = options.process.isOld ? undefined : new MediumClock(options.process);
  }

  override async initialize(): Promise<void> {
    await Promise.resolve();
  }

  override async shutdown(): Promise<void> {
    await Promise.resolve();
  }

  override get(path: string, options: GetOptions = {}): Promise<GetResult> {
    const name = this.#name(path);
    if (path === MANIFEST_PATH) this.#freezeAtLook();
    return this.#repeat(`GET ${name}`, false, () => this.#options.server.get(name, options));
  }

  override async put(
    path: string,
    body: Uint8Array | AsyncIterable<Uint8Array>,
    precondition: Precondition,
    { timeoutMs = PUT_TIMEOUT_MS }: PutOptions = {},
  ): Promise<PutResult> {
    const { process, server, network, onAttempt } = this.#options;
    const { kernel, prng } = process;
    const bytes = body instanceof Uint8Array ? new Uint8Array(body) : await collect(body);
    const name = this.#name(path);
    const deadlineMs = kernel.nowMs + timeoutMs;
    let inDoubt = false;
    const { stuck, stuckMsMax } = network();
    // Whatever holds one attempt up holds up the next ones as well.
    const stuckMs = prng.chance(stuck) ? prng.between(2_000, stuckMsMax) : undefined;
    if (stuckMs !== undefined) this.#options.count("stuck");
    for (let attempt = 1; ; attempt++) {
      onAttempt(process.name, name, bytes);
      const answer = await this.#send(
        `PUT ${name}`,
        true,
        () => server.put(name, bytes, precondition),
        stuckMs,
      );
      if (answer.kind === "answered") {
        const isOurs = answer.value.status === "written";
        if (!isOurs) this.#options.count("conflicts");
        if (isOurs || !inDoubt || prng.chance(network().plainConflict)) return answer.value;
        const settled = await this.#readBack(name, bytes, precondition);
        if (settled !== "repeat") return settled;
      }
      if (answer.kind === "silent") inDoubt = true;
      const pauseMs = prng.between(10, 200) * attempt;
      if (kernel.nowMs + pauseMs >= deadlineMs) {
        if (inDoubt) throw new WriteOutcomeUnknownError(`PUT ${name}: no answer in time`, { path });
        throw new UnavailableError(`PUT ${name}: refused until the deadline`, { path });
      }
      await process.sleep(pauseMs);
    }
  }

  /** After an ambiguous attempt the stored bytes decide what a conflict means. */
  async #readBack(
    path: string,
    bytes: Uint8Array,
    precondition: Precondition,
  ): Promise<PutResult | "repeat"> {
    const unknown = (cause?: unknown): WriteOutcomeUnknownError =>
      new WriteOutcomeUnknownError(`PUT ${path} may have landed`, { path, cause });
    const now = await this.get(path).catch((cause: unknown) => {
      throw unknown(cause);
    });
    if (now.status !== "found") throw unknown();
    const { etag, dateMs } = now;
    if (etag === etagOf(bytes)) return { status: "written", etag, dateMs, readBack: true };
    const isUnchanged = typeof precondition === "object" && "ifMatch" in precondition;
    if (isUnchanged && precondition.ifMatch === etag) return "repeat";
    return { status: "conflict", dateMs };
  }

  get listsInOrder(): boolean {
    return !this.#options.isListUnordered;
  }

  override async *list(prefix: string, options: ListOptions = {}): AsyncGenerator<ListPage> {
    const { server, isListUnordered, process, network, count } = this.#options;
    const salt = `${process.name} ${++this.#listings} `;
    const rank = isListUnordered ? shuffledBy(salt) : byName;
    let { after = "" } = options;
    if (after !== "") this.#options.count("partedLists");
    let changes: number | undefined;
    for (;;) {
      const { stalledList, stalledListMsMax } = network();
      if (process.prng.chance(stalledList)) {
        count("stalledPages");
        await process.sleep(process.prng.between(1, stalledListMsMax));
      }
      const page = await this.#repeat(`LIST ${prefix}`, false, () => {
        const { paths, truncated } = server.page(prefix, rank, after);
        const objects = paths.map((path) => {
          const { body, lastModifiedMs = 0 } = server.objects.get(path) ?? {};
          return { path, bytes: body?.length ?? 0, lastModifiedMs };
        });
        return { objects, truncated, dateMs: server.dateMs() };
      });
      if (changes !== undefined && changes !== server.changes) count("straddledLists");
      changes = server.changes;
      const last = page.objects.at(-1);
      yield page;
      if (!page.truncated || last === undefined) return;
      after = rank(last.path);
    }
  }

  override async delete(paths: readonly string[]): Promise<void> {
    const { server, process } = this.#options;
    const order = process.prng.sample(paths, paths.length);
    const outcomes = await Promise.allSettled(
      order.map((path) => this.#repeat(`DELETE ${path}`, true, () => server.delete(path))),
    );
    for (const outcome of outcomes) if (outcome.status === "rejected") throw outcome.reason;
  }

  #countFate({ isRefused, outMs, backMs, duplicateMs, freezeMs }: Fate): void {
    const { count } = this.#options;
    if (isRefused) return count("refused");
    if (outMs === undefined) count("lost");
    else if (backMs === undefined) count("answersLost");
    if (duplicateMs !== undefined) count(duplicateMs > LATE_MS ? "lateDuplicates" : "duplicates");
    if (freezeMs !== undefined) count("frozenWrites");
  }

  #freezeAtLook(): void {
    this.manifestGets++;
    const { process, network } = this.#options;
    const { frozenLook, frozenLookMsMax } = network();
    if (!process.prng.chance(frozenLook)) return;
    this.#options.count("frozenLooks");
    process.freeze(process.prng.between(1, frozenLookMsMax));
  }

  #name(path: string): string {
    const { arePrivateLeases, process } = this.#options;
    return arePrivateLeases && isCompactorLease(path) ? `${path}.${process.name}` : path;
  }

  /** For requests that may be repeated whatever became of them. */
  async #repeat<T>(label: string, isWrite: boolean, act: () => T): Promise<T> {
    const { process } = this.#options;
    for (let attempt = 1; attempt <= READS_MAX; attempt++) {
      const answer = await this.#send(label, isWrite, act);
      if (answer.kind === "answered") return answer.value;
      await process.sleep(process.prng.between(10, 100) * attempt);
    }
    throw new UnavailableError(`${label}: ${READS_MAX} attempts failed`);
  }

  /** One request: takes effect at one moment between now and its answer, or not, or later. */
  #send<T>(label: string, isWrite: boolean, act: () => T, stuckMs?: number): Promise<Answer<T>> {
    const { process, network, server, dateErrorMs } = this.#options;
    const { kernel, prng } = process;
    const { clock } = this;
    const sent = momentOf(process);
    const dateNow = (): number => server.dateMs(dateErrorMs(kernel.nowMs));
    const fate = drawFate(network(), prng, isWrite);
    const { isRefused, backMs, duplicateMs, freezeMs } = fate;
    const outMs = stuckMs ?? fate.outMs;
    this.#countFate({ ...fate, outMs });
    const effect = (): T => {
      const value = act();
      kernel.trace(`${process.name} ${label} ${outcomeOf(value)}`);
      return value;
    };
    return new Promise((resolve) => {
      let isWaiting = true;
      /** Whichever of the answer and the timeout comes first. */
      const end = (answer: Answer<T>, dateMs?: number): void => {
        if (isWaiting && dateMs !== undefined) clock?.observe(dateMs, sent, momentOf(process));
        isWaiting = false;
        resolve(answer);
      };
      if (isRefused) {
        const dateMs = dateNow();
        return process.deliver(prng.between(2, 40), () => end({ kind: "refused" }, dateMs));
      }
      const task = process.requestTask;
      if (outMs !== undefined) {
        const arrive = (): void => {
          const value = effect();
          if (backMs === undefined) return;
          const dateMs = dateNow();
          process.deliver(backMs, () => end({ kind: "answered", value }, dateMs));
        };
        kernel.after(outMs, arrive, { task });
      }
      if (duplicateMs !== undefined) kernel.after(duplicateMs, effect, { task });
      if (freezeMs !== undefined) process.freeze(freezeMs);
      const answerMs = (outMs ?? Infinity) + (backMs ?? Infinity);
      if (answerMs < ATTEMPT_TIMEOUT_MS && freezeMs === undefined) return;
      process.deliver(ATTEMPT_TIMEOUT_MS, () => end({ kind: "silent" }));
    });
  }
}

function outcomeOf(value: unknown): string {
  if (typeof value !== "object" || value === null) return "";
  if ("status" in value) return String(value.status);
  return "objects" in value && Array.isArray(value.objects) ? `${value.objects.length}` : "";
}

export async function collect(chunks: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for await (const chunk of chunks) parts.push(new Uint8Array(chunk));
  return new Uint8Array(Buffer.concat(parts));
}
