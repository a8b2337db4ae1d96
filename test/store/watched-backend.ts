/** A backend that records what is asked of it and can refuse writes, whatever the medium. */
import type {
  AppendableStorage,
  AppendFile,
  Dated,
  StorageBackend,
} from "../../src/storage/backend.ts";

export interface Watched {
  readonly backend: StorageBackend;
  /** "get manifest.json", "put ops/…", "append ops/…", in order; list, delete, create, lock too. */
  readonly calls: string[];
  /** Done before each write to the log. */
  delay: (() => Promise<void>) | undefined;
  /** What each write to the log fails with: before it is done or, with `landing`, after. */
  failing: { readonly error: () => Error; readonly landing: boolean } | undefined;
}

const WATCHED = new Set(["get", "put", "list", "delete", "lock"]);

export function watchBackend(inner: StorageBackend): Watched {
  const watched: Watched = {
    backend: new Proxy(inner, { get: (_, name) => property(name) }),
    calls: [],
    delay: undefined,
    failing: undefined,
  };

  async function write<R>(path: string, work: () => Promise<R>): Promise<R> {
    const { failing } = watched;
    if (path.startsWith("ops/")) await watched.delay?.();
    if (failing === undefined || !path.startsWith("ops/")) return work();
    if (failing.landing) await work();
    throw failing.error();
  }

  function property(name: string | symbol): unknown {
    const value: unknown = Reflect.get(inner, name, inner);
    if (name === "appendable") return inner.appendable && watchAppends(inner.appendable);
    if (typeof value !== "function") return value;
    return (...args: unknown[]): unknown => {
      const path = typeof args[0] === "string" ? args[0] : String(args[0]);
      if (WATCHED.has(String(name))) watched.calls.push(`${String(name)} ${path}`);
      const call = (): unknown => Reflect.apply(value, inner, args);
      return name === "put" ? write(path, async () => call()) : call();
    };
  }

  function watchAppends(appendable: AppendableStorage): AppendableStorage {
    return {
      exists: (path) => appendable.exists(path),
      create: async (path) => {
        watched.calls.push(`create ${path}`);
        const file = await appendable.create(path);
        return file && watchFile(file, path);
      },
    };
  }

  function watchFile(file: AppendFile, path: string): AppendFile {
    return {
      close: () => file.close(),
      isInPlace: () => file.isInPlace(),
      append: (bytes): Promise<Dated> => {
        watched.calls.push(`append ${path}`);
        return write(path, () => file.append(bytes));
      },
    };
  }

  return watched;
}

/** Calls that wrote or deleted anything. */
export function writesOf({ calls }: Watched): string[] {
  return calls.filter((call) => !/^(get|list) /.test(call));
}
