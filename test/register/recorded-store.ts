/** A store whose calls on shared records are recorded, with the versions that its backend is given. */
import { WriteOutcomeUnknownError } from "../../src/core/errors.ts";
import { LOG_PREFIX } from "../../src/format/paths.ts";
import { versionOf } from "../../src/format/segment.ts";
import type { AppendFile, StorageBackend } from "../../src/storage/backend.ts";
import type { Store } from "../../src/store/store.ts";
import { isTransient } from "../processes/transient.ts";
import { numbersOf, segmentsIn } from "../simulation/sent-segments.ts";
import { type RegisterJournal, type RegisterLine, steadyMs } from "./journal.ts";

/** From now on the journal has the version of each tagged operation before its bytes are sent. */
export function recordSent(backend: StorageBackend, journal: RegisterJournal): void {
  const record = (path: string, body: unknown): void => {
    if (path.startsWith(LOG_PREFIX) && body instanceof Uint8Array) recordBytes(path, body, journal);
  };
  const put = backend.put.bind(backend);
  backend.put = (path, body, ...rest) => {
    record(path, body);
    return put(path, body, ...rest);
  };
  const { appendable } = backend;
  if (appendable === undefined) return;
  const create = async (path: string): Promise<AppendFile | undefined> => {
    const file = await appendable.create(path);
    if (file === undefined) return undefined;
    const append: AppendFile["append"] = (bytes) => {
      record(path, bytes);
      return file.append(bytes);
    };
    return { append, isInPlace: () => file.isInPlace(), close: () => file.close() };
  };
  const value = { create, exists: (path: string) => appendable.exists(path) };
  Object.defineProperty(backend, "appendable", { value });
}

function recordBytes(path: string, body: Uint8Array, journal: RegisterJournal): void {
  const atMs = steadyMs();
  for (const segment of segmentsIn(path, body)) {
    const { operations } = segment;
    for (const operation of operations) {
      const tag = tagOf(operation.data);
      if (tag === undefined) continue;
      const version = numbersOf(versionOf(segment, operation));
      journal.append({ kind: "sent", tag, version, operations: operations.length, atMs });
    }
  }
}

/** Of a value that was written through a `RecordedStore`. */
export function tagOf(value: unknown): string | undefined {
  const tag: unknown = Reflect.get(Object(value), "register");
  return typeof tag === "string" ? tag : undefined;
}

export class RecordedStore {
  readonly #store: Store;
  readonly #journal: RegisterJournal;
  readonly #name: string;
  /** When the store's last look that is known began. */
  #viewMs: number;
  #n = 0;

  /**
   * @param store over a backend that was given to `recordSent`
   * @param name unlike that of any other store of the history
   * @param viewMs when it was about to be opened
   */
  constructor(store: Store, journal: RegisterJournal, name: string, viewMs: number) {
    this.#store = store;
    this.#journal = journal;
    this.#name = name;
    this.#viewMs = viewMs;
  }

  /** @throws what the store throws, unless trying again may help */
  async write(id: string): Promise<void> {
    const tag = `${this.#name} ${++this.#n}`;
    this.#journal.append({ kind: "call", id, tag, atMs: steadyMs(), viewMs: this.#viewMs });
    const outcome = await outcomeOf(this.#store.set(id, { register: tag }));
    this.#journal.append({ kind: "ended", tag, outcome, atMs: steadyMs() });
  }

  /** Looks first; a look that fails is no read. */
  async read(id: string): Promise<void> {
    const invokedMs = steadyMs();
    let value: unknown;
    try {
      value = await this.#store.read(id, { freshness: "strong" });
    } catch (error) {
      if (!isTransient(error)) throw error;
      return;
    }
    const read = { id, tag: tagOf(value), invokedMs, returnedMs: steadyMs(), viewMs: invokedMs };
    this.#journal.append({ kind: "read", ...read });
    this.#viewMs = Math.max(this.#viewMs, invokedMs);
  }
}

async function outcomeOf(call: Promise<void>): Promise<"acknowledged" | "nothing" | "unknown"> {
  try {
    await call;
    return "acknowledged";
  } catch (error) {
    if (error instanceof WriteOutcomeUnknownError) return "unknown";
    if (!isTransient(error)) throw error;
    return "nothing";
  }
}

/** A look at all records by a reader that opened after `invokedMs`. */
export function readLines(
  records: ReadonlyMap<string, unknown>,
  ids: readonly string[],
  invokedMs: number,
): RegisterLine[] {
  const returnedMs = steadyMs();
  return ids.map((id) => {
    const tag = tagOf(records.get(id));
    return { kind: "read", id, tag, invokedMs, returnedMs, viewMs: invokedMs };
  });
}
