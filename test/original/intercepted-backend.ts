/** A backend whose every call that reads or changes something can be delayed, refused or followed. */
import type { ListPage, StorageBackend } from "../../src/storage/backend.ts";

export type Around = (call: string, work: () => Promise<unknown>) => Promise<unknown>;

const INTERCEPTED = new Set(["get", "put", "delete"]);

/** @param around is given "get manifest.json" and the like; a list is one call, when it begins */
export function interceptBackend(inner: StorageBackend, around: Around): StorageBackend {
  async function* list(prefix: string): AsyncGenerator<ListPage> {
    const pages: ListPage[] = [];
    await around(`list ${prefix}`, async () => {
      for await (const page of inner.list(prefix)) pages.push(page);
    });
    yield* pages;
  }
  return new Proxy(inner, {
    get: (_, name) => {
      const value: unknown = Reflect.get(inner, name, inner);
      if (name === "list") return list;
      if (typeof value !== "function") return value;
      return (...args: unknown[]): unknown => {
        const work = (): unknown => Reflect.apply(value, inner, args);
        if (!INTERCEPTED.has(String(name))) return work();
        return around(`${String(name)} ${String(args[0])}`, async () => work());
      };
    },
  });
}

/** Runs `act` once, before the first call that matches. */
export function beforeFirst(
  inner: StorageBackend,
  matches: (call: string) => boolean,
  act: () => Promise<unknown>,
): { readonly backend: StorageBackend; readonly happened: () => boolean } {
  let happened = false;
  const backend = interceptBackend(inner, async (call, work) => {
    if (!happened && matches(call)) {
      happened = true;
      await act();
    }
    return work();
  });
  return { backend, happened: () => happened };
}
