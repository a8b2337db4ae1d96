/** A backend whose calls fail as a test says: before they take effect, after it, or unknown. */
import { UnavailableError, WriteOutcomeUnknownError } from "../../src/core/errors.ts";
import type { AppendFile, ListPage, StorageBackend } from "../../src/storage/backend.ts";

/** What becomes of a call. Calls that only read are refused or work. */
export type Fate =
  | "works"
  /** Nothing happens, and the caller learns it. */
  | "refused"
  /** It takes effect; the caller receives an unknown outcome. */
  | "answer lost"
  /** It takes no effect; the caller receives an unknown outcome. */
  | "never lands"
  /** As "never lands", but it takes effect at `landLate`. Only a `put` does. */
  | "lands late";

export interface FailingBackend {
  readonly backend: StorageBackend;
  /** Made since it was armed, as "put manifest.json". */
  readonly calls: readonly string[];
  /** Counts from 0 again. */
  arm(fateOf: (at: number) => Fate): void;
  disarm(): void;
  /** Now what was under way arrives. */
  landLate(): Promise<void>;
}

/** Calls that read or change something at the medium. */
const CALLS = new Set(["get", "put", "delete", "create", "exists", "append", "lock"]);
const READS = new Set(["get", "list", "exists", "isInPlace"]);

export function isRead(call: string): boolean {
  return READS.has(call.split(" ", 1)[0] ?? "");
}

export function failingBackend(inner: StorageBackend): FailingBackend {
  let calls: string[] = [];
  let fateOf: ((at: number) => Fate) | undefined;
  let late: (() => Promise<unknown>)[] = [];

  const intercept = async (call: string, work: () => Promise<unknown>): Promise<unknown> => {
    if (fateOf === undefined) return work();
    const fate = fateOf(calls.push(call) - 1);
    const path = call.slice(call.indexOf(" ") + 1);
    if (fate === "works") return work();
    if (fate === "refused" || isRead(call)) {
      throw new UnavailableError(`${call}: refused by the test`, { path });
    }
    if (fate === "answer lost") await work();
    if (fate === "lands late" && call.startsWith("put ")) late.push(work);
    throw new WriteOutcomeUnknownError(`${call}: ${fate}, says the test`, { path });
  };

  const appendTo = (file: AppendFile, path: string): AppendFile => ({
    append: (bytes) =>
      intercept(`append ${path}`, () => file.append(bytes)) as ReturnType<AppendFile["append"]>,
    isInPlace: () => intercept(`isInPlace ${path}`, () => file.isInPlace()) as Promise<boolean>,
    close: () => file.close(),
  });

  const watch = <O extends object>(object: O): O =>
    new Proxy(object, {
      get: (_, name) => {
        const value: unknown = Reflect.get(object, name, object);
        if (name === "appendable" && inner.appendable !== undefined) return watch(inner.appendable);
        if (typeof value !== "function") return value;
        return (...args: unknown[]): unknown => {
          const call = (): unknown => Reflect.apply(value, object, args);
          const path = String(args[0]);
          if (name === "list") return listing(path, () => inner.list(path));
          if (!CALLS.has(String(name))) return call();
          return intercept(`${String(name)} ${path}`, async () => {
            const result = await call();
            return name === "create" && isAppendFile(result) ? appendTo(result, path) : result;
          });
        };
      },
    });

  async function* listing(
    prefix: string,
    list: () => AsyncIterable<ListPage>,
  ): AsyncGenerator<ListPage> {
    const pages: ListPage[] = [];
    await intercept(`list ${prefix}`, async () => {
      for await (const page of list()) pages.push(page);
    });
    yield* pages;
  }

  return {
    backend: watch(inner),
    get calls() {
      return calls;
    },
    arm: (fate) => {
      calls = [];
      fateOf = fate;
    },
    disarm: () => {
      fateOf = undefined;
    },
    landLate: async () => {
      const waiting = late;
      late = [];
      for (const work of waiting) await work();
    },
  };
}

function isAppendFile(value: unknown): value is AppendFile {
  return typeof value === "object" && value !== null && "append" in value;
}
