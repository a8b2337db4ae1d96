/**
 * The backend as one store uses it: every request is counted for this store, however many share
 * the instance, and refused when it would exceed the store's budget.
 */
import { breachOf, type CostBudget, type RequestKind } from "../core/cost.ts";
import type { CostMeter } from "../core/cost-meter.ts";
import { BudgetExceededError } from "../core/errors.ts";
import { isBytes } from "../core/realm.ts";
import type {
  AppendableStorage,
  AppendFile,
  GetOptions,
  GetResult,
  ListOptions,
  ListPage,
  LockHandle,
  Medium,
  OnRequest,
  Precondition,
  PutOptions,
  PutResult,
  RequestOptions,
  StorageBackend,
} from "./backend.ts";
import { WrappedBackend } from "./wrapped-backend.ts";

/** A budget, and what is called on its breach if that is only a warning. */
export interface BudgetGuard {
  readonly budget: CostBudget;
  /** Called at most once. */
  readonly onWarning: (message: string) => void;
  hasWarned?: boolean;
}

/** One call, for the meter and for the message of a refusal. */
interface Call {
  readonly kind: RequestKind;
  readonly path: string;
  /** If the medium itself does not report it. */
  readonly bytesOut?: number;
}

export class MeteredBackend extends WrappedBackend {
  override readonly appendable: AppendableStorage | undefined;
  override readonly lock?: (path: string) => Promise<LockHandle>;
  readonly #unlimited: MeteredBackend;
  readonly #meter: CostMeter;
  readonly #guard: BudgetGuard | undefined;

  constructor(inner: Medium, meter: CostMeter, guard?: BudgetGuard) {
    super(inner);
    this.#meter = meter;
    this.#guard = guard;
    this.#unlimited = guard === undefined ? this : new MeteredBackend(inner, meter);
    const { appendable } = inner;
    this.appendable = appendable && this.#meteredFiles(appendable);
    const take = inner.lock?.bind(inner);
    // Its presence shows that the medium has one.
    if (take !== undefined) this.lock = (path) => this.#lock(path, take);
  }

  override withoutBudget(): StorageBackend | undefined {
    const inner = super.withoutBudget();
    if (inner !== undefined) return new MeteredBackend(inner, this.#meter);
    return this.#guard === undefined ? undefined : this.#unlimited;
  }

  protected override around(inner: Medium): StorageBackend {
    return new MeteredBackend(inner, this.#meter, this.#guard);
  }

  override get(path: string, options: GetOptions = {}): Promise<GetResult> {
    return this.#call(
      { kind: "get", path },
      options,
      (counted) => this.inner.get(path, counted),
      (result) => (result.status === "found" ? result.body.byteLength : 0),
    );
  }

  override put(
    path: string,
    body: Uint8Array | AsyncIterable<Uint8Array>,
    precondition: Precondition,
    options: PutOptions = {},
  ): Promise<PutResult> {
    const bytesOut = isBytes(body) ? body.byteLength : 0;
    const isCounted = isBytes(body) || this.inner.reportsRequests === true;
    const sent = isCounted ? body : this.#countedStream(body);
    return this.#call({ kind: "put", path, bytesOut }, options, (counted) =>
      this.inner.put(path, sent, precondition, counted),
    );
  }

  async *#countedStream(body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const piece of body) {
      this.#meter.sent(piece.byteLength);
      yield piece;
    }
  }

  /** Page by page: each is a request that the budget may refuse. */
  override async *list(prefix: string, options: ListOptions = {}): AsyncGenerator<ListPage> {
    let count: OnRequest | undefined;
    const onRequest: OnRequest = (kind, bytesOut) => count?.(kind, bytesOut) ?? ignore;
    let pages: AsyncIterator<ListPage> | undefined;
    try {
      for (;;) {
        const page = await this.#call({ kind: "list", path: prefix }, options, (counted) => {
          count = counted.onRequest;
          pages ??= this.inner.list(prefix, { ...counted, onRequest })[Symbol.asyncIterator]();
          return pages.next();
        });
        if (page.done === true) return;
        yield page.value;
        // The one after the last would be no request any more.
        if (!page.value.truncated) return;
      }
    } finally {
      await pages?.return?.();
    }
  }

  override async delete(paths: readonly string[], options: RequestOptions = {}): Promise<void> {
    const [first] = paths;
    if (first === undefined) return;
    await this.#call({ kind: "delete", path: first }, options, (counted) =>
      this.inner.delete(paths, counted),
    );
  }

  /** Creating and appending are writes; a look whether a file exists settles one and is a HEAD. */
  #meteredFiles(appendable: AppendableStorage): AppendableStorage {
    return {
      create: async (path) => {
        const file = await this.#count({ kind: "put", path }, () => appendable.create(path));
        return file && this.#meteredFile(file, path);
      },
      exists: (path) =>
        this.#unlimited.#count({ kind: "head", path }, () => appendable.exists(path)),
    };
  }

  #meteredFile(file: AppendFile, path: string): AppendFile {
    return {
      append: (bytes) =>
        this.#count({ kind: "put", path, bytesOut: bytes.byteLength }, () => file.append(bytes)),
      isInPlace: () => this.#unlimited.#count({ kind: "head", path }, () => file.isInPlace()),
      close: () => file.close(),
    };
  }

  async #lock(path: string, take: (path: string) => Promise<LockHandle>): Promise<LockHandle> {
    const handle = await this.#count({ kind: "put", path }, () => take(path));
    const release = (): Promise<void> =>
      this.#unlimited.#count({ kind: "delete", path }, () => handle.release());
    return { confirm: async () => handle.confirm?.(), release };
  }

  /** Counts what the medium reports, or else the call; the caller's `onRequest` is called as well. */
  async #call<R, Options extends RequestOptions>(
    call: Call,
    options: Options,
    act: (options: Options) => Promise<R>,
    bytesInOf: (result: R) => number = () => 0,
  ): Promise<R> {
    if (this.inner.reportsRequests !== true) {
      return this.#count(call, () => act(options), bytesInOf);
    }
    this.#check(call);
    const arrived = this.#meter.expect(call.kind);
    const onRequest: OnRequest = (kind, bytesOut) => {
      arrived();
      const ended = this.#meter.begin(kind, bytesOut);
      const endedToo = options.onRequest?.(kind, bytesOut);
      return (bytesIn) => {
        ended(bytesIn);
        endedToo?.(bytesIn);
      };
    };
    try {
      return await act({ ...options, onRequest });
    } finally {
      arrived();
    }
  }

  /** Counts the call itself. */
  async #count<R>(
    call: Call,
    act: () => Promise<R>,
    bytesInOf: (result: R) => number = () => 0,
  ): Promise<R> {
    this.#check(call);
    const ended = this.#meter.begin(call.kind, call.bytesOut ?? 0);
    let bytesIn = 0;
    try {
      const result = await act();
      bytesIn = bytesInOf(result);
      return result;
    } finally {
      ended(bytesIn);
    }
  }

  /** @throws BudgetExceededError */
  #check({ kind, path }: Call): void {
    if (this.#guard === undefined) return;
    const { budget, onWarning, hasWarned = false } = this.#guard;
    const breach = breachOf(budget, this.#meter.costWith(kind));
    if (breach === undefined) return;
    if (budget.onBreach === "throw") {
      throw new BudgetExceededError(
        `the option costBudget does not allow ${kind} ${path}: ${breach}; nothing was sent`,
        { path },
      );
    }
    if (!hasWarned) onWarning(`costBudget is exceeded by ${kind} ${path}: ${breach}`);
    this.#guard.hasWarned = true;
  }
}

/** The end of a request that no meter counts. */
function ignore(): void {}
