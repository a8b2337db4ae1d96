/** What the cases of the store suite share: a medium, stores on it, and looks behind them. */
import { createHash } from "node:crypto";
import { onTestFinished } from "vitest";
import type { Runtime } from "../../src/core/runtime.ts";
import { decodeRetiredList } from "../../src/format/retired-list.ts";
import type { ProtocolSettings } from "../../src/core/settings.ts";
import type { StorageBackend } from "../../src/storage/backend.ts";
import type { StoreInternals } from "../../src/session/session.ts";
import type { StoreOptions } from "../../src/session/options.ts";
import { Store } from "../../src/store/store.ts";
import { scaleDateSkew } from "../support/date-skew.ts";
import { watchBackend } from "./watched-backend.ts";

/** A place for one store, with the clock that rules there. */
export interface Medium extends AsyncDisposable {
  readonly name: "memory" | "directory" | "s3";
  /** Nobody has used it yet. */
  readonly location: string;
  readonly runtime: Runtime;
  /** As another process would make it: not initialized. */
  backend(): StorageBackend;
  /** Lets time pass by the medium's clock. Real time where the clock is a server's. */
  pass(ms: number): Promise<void>;
  /** Everything that lies there, what the backend hides included: name -> hash of its bytes. */
  contents(): Promise<ReadonlyMap<string, string>>;
}

export type MakeMedium = () => Promise<Medium>;

/** A test's medium; its stores are closed when the test ends. */
export interface Fixture {
  readonly medium: Medium;
  /** Everything its stores were warned of. */
  readonly warnings: string[];
  open<T = unknown>(options?: StoreOptions<T>, internals?: StoreInternals): Promise<Store<T>>;
  /** As another process, which has no time: its clocks count on from what it knows. */
  openCounting<T = unknown>(options: StoreOptions<T>): Promise<Store<T>>;
  /** What a fresh reader sees that loads everything, in its order. */
  entries(): Promise<[string, unknown][]>;
  /** What a fresh reader sees that loads nothing but these. */
  lookUp(ids: Iterable<string>): Promise<Map<string, unknown>>;
  /** Objects below a prefix by name, as text. */
  objects(prefix: string): Promise<Map<string, string>>;
  /** How many flushes the log holds that no run does. */
  flushes(): Promise<number>;
}

/** @param graces short ones, under which the medium's dates must be as right as they need */
export async function setUp(
  make: MakeMedium,
  graces: Partial<ProtocolSettings> = {},
): Promise<Fixture> {
  const made = await make();
  const medium = { ...made, backend: () => scaleDateSkew(made.backend(), graces) };
  onTestFinished(() => medium[Symbol.asyncDispose]());
  const warnings: string[] = [];

  const open = async <T = unknown>(
    options: StoreOptions<T> = {},
    internals: StoreInternals = {},
  ): Promise<Store<T>> => {
    const store = new Store<T>({ runtime: medium.runtime, ...internals });
    const onWarning = (message: string): void => void warnings.push(message);
    await store.open(medium.location, { backend: medium.backend(), onWarning, ...options });
    onTestFinished(() => store.close());
    return store;
  };

  const openCounting = <T = unknown>(options: StoreOptions<T>): Promise<Store<T>> => {
    const { backend } = watchBackend(medium.backend());
    return open(
      { backend: timeless(backend), ...options },
      { runtime: { ...medium.runtime, wallMs: () => 0 } },
    );
  };

  const objects = async (prefix: string): Promise<Map<string, string>> => {
    const backend = medium.backend();
    await backend.initialize(medium.location, { readOnly: true });
    const found = new Map<string, string>();
    for await (const page of backend.list(prefix)) {
      for (const { path } of page.objects) {
        found.set(path, (await backend.readBlob(path)).toString());
      }
    }
    await backend.shutdown();
    return found;
  };

  return {
    medium,
    warnings,
    open,
    openCounting,
    objects,
    entries: async () => (await open({ readOnly: true })).entries(),
    lookUp: async (ids) => {
      // Another instance, as in another process: nothing that was read before is warm.
      const { backend } = watchBackend(medium.backend());
      return (await open({ backend, readOnly: true, skipLoad: true })).readMany(ids);
    },
    flushes: async () => {
      const lists = [...(await objects("snapshots/"))].filter(([path]) =>
        path.endsWith(".retired"),
      );
      const merged = lists.flatMap(([path, text]) => decodeRetiredList(Buffer.from(text), path));
      const log = [...(await objects("ops/"))].filter(([path]) => !merged.includes(path));
      return log
        .map(([, text]) => text)
        .join("")
        .split("\n")
        .filter((line) => line.startsWith('{"format":')).length;
    },
  };
}

/** As a medium that tells no time. */
export function timeless(backend: StorageBackend): StorageBackend {
  return new Proxy(backend, {
    get: (target, name) => (name === "clock" ? undefined : Reflect.get(target, name)),
  });
}

export function hashOf(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** Names and hashes of all that a backend lists. */
export async function listedContents(
  backend: StorageBackend,
): Promise<ReadonlyMap<string, string>> {
  const found = new Map<string, string>();
  for await (const page of backend.list("")) {
    for (const { path } of page.objects) found.set(path, hashOf(await backend.readBlob(path)));
  }
  return found;
}

/**
 * Settings under which deletions are purged soon: the medium's dates may be whole seconds, also those
 * that are compared by their skew alone (`scaleDateSkew` makes 1,250 ms of these).
 */
export const SHORT_GRACES = {
  writerLagMs: 4_000,
  tombstoneGraceMs: 9_001,
  gcGraceMs: 0,
  segmentGraceMs: 0,
};
