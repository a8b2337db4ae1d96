/**
 * The backend as a store uses it that has a deadline. Nothing is begun after it and nothing is
 * waited for beyond it: a pending read fails, a pending write has an unknown outcome.
 */
import { UnavailableError, WriteOutcomeUnknownError } from "../core/errors.ts";
import {
  type AppendableStorage,
  type AppendFile,
  type GetOptions,
  type GetResult,
  type ListOptions,
  type ListPage,
  type LockHandle,
  type Medium,
  type Precondition,
  PUT_TIMEOUT_MS,
  type PutOptions,
  type PutResult,
  type RequestOptions,
  type StorageBackend,
} from "./backend.ts";
import type { Deadline } from "./deadline.ts";
import { WrappedBackend } from "./wrapped-backend.ts";

export class DeadlineBackend extends WrappedBackend {
  override readonly appendable: AppendableStorage | undefined;
  override readonly lock?: (path: string) => Promise<LockHandle>;
  readonly #deadline: Deadline;

  constructor(inner: Medium, deadline: Deadline) {
    super(inner);
    this.#deadline = deadline;
    const { appendable } = inner;
    this.appendable = appendable && this.#files(appendable);
    const take = inner.lock?.bind(inner);
    // Its presence shows that the medium has one.
    if (take !== undefined) this.lock = take;
  }

  protected override around(inner: Medium): StorageBackend {
    return new DeadlineBackend(inner, this.#deadline);
  }

  override get(path: string, options: GetOptions = {}): Promise<GetResult> {
    const signal = this.#signalFor(options);
    return this.#read("get", path, () => this.inner.get(path, { ...options, signal }));
  }

  override put(
    path: string,
    body: Uint8Array | AsyncIterable<Uint8Array>,
    precondition: Precondition,
    options: PutOptions = {},
  ): Promise<PutResult> {
    const { leftMs } = this.#deadline;
    const signal = this.#signalFor(options);
    // A medium that gives up in time can report that nothing was written; a deadline cannot.
    const timeoutMs = Math.min(options.timeoutMs ?? PUT_TIMEOUT_MS, leftMs);
    const limited = { ...options, timeoutMs, signal };
    return this.#write("put", path, () => this.inner.put(path, body, precondition, limited));
  }

  override async *list(prefix: string, options: ListOptions = {}): AsyncGenerator<ListPage> {
    const signal = this.#signalFor(options);
    const listed = this.inner.list(prefix, { ...options, signal });
    const pages = listed[Symbol.asyncIterator]();
    try {
      for (;;) {
        const page = await this.#read("list", prefix, () => pages.next());
        if (page.done === true) return;
        yield page.value;
      }
    } finally {
      // A page that came too late would delay the end of the iterator as well.
      await this.#deadline.waitFor(Promise.resolve(pages.return?.()));
    }
  }

  override delete(paths: readonly string[], options: RequestOptions = {}): Promise<void> {
    const signal = this.#signalFor(options);
    return this.#read("delete", paths[0] ?? "", () =>
      this.inner.delete(paths, { ...options, signal }),
    );
  }

  /** Aborts with the deadline, or with the caller's own signal. */
  #signalFor({ signal }: RequestOptions): AbortSignal {
    const passed = this.#deadline.signal;
    return signal === undefined ? passed : AbortSignal.any([passed, signal]);
  }

  #files(appendable: AppendableStorage): AppendableStorage {
    return {
      create: async (path) => {
        const file = await this.#read("create", path, () => appendable.create(path));
        return file && this.#file(file, path);
      },
      exists: (path) => this.#read("look at", path, () => appendable.exists(path)),
    };
  }

  #file(file: AppendFile, path: string): AppendFile {
    return {
      append: (bytes) => this.#write("append to", path, () => file.append(bytes)),
      isInPlace: () => this.#read("look at", path, () => file.isInPlace()),
      // Bytes that were appended are durable already: no failure of `close` matters.
      close: () => this.#deadline.waitFor(file.close()),
    };
  }

  /** For calls that may be repeated: when one is late, it failed. */
  #read<R>(verb: string, path: string, work: () => Promise<R>): Promise<R> {
    const what = `${verb} ${path}`;
    return this.#deadline.race(what, work, () => {
      throw new UnavailableError(`${what} was not answered before ${this.#deadline.text}`, {
        path,
      });
    });
  }

  /** For calls whose effect matters: when one is late, its outcome is unknown. */
  #write<R>(verb: string, path: string, work: () => Promise<R>): Promise<R> {
    const what = `${verb} ${path}`;
    return this.#deadline.race(what, work, () => {
      throw new WriteOutcomeUnknownError(
        `${what} was not confirmed before ${this.#deadline.text}: it may or may not take effect`,
        { path },
      );
    });
  }
}
