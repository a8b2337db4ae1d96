/** Every operation of the public API, as the tests of single failing calls make them. */
import type { StorageBackend } from "../../src/storage/backend.ts";
import { compact } from "../../src/compaction/compact.ts";
import type { StoreOptions } from "../../src/session/options.ts";
import type { Store } from "../../src/store/store.ts";
import { verify } from "../../src/store/verify.ts";

export type Records = ReadonlyMap<string, number>;

/** What lies there before each operation: a, b, c in a run; c and d in the log; e deleted. */
export const BEFORE: Records = new Map([
  ["a", 1],
  ["b", 1],
  ["c", 2],
  ["d", 2],
]);
export const ARCHIVE = "p";
export const ARCHIVED: Records = new Map([["z", 1]]);

export interface Target {
  readonly store: Store<number>;
  readonly location: string;
  readonly backend: StorageBackend;
}

/** Of these the store is open before calls fail. */
export interface StoreOperation {
  readonly name: string;
  readonly options: StoreOptions<number>;
  /** Not disturbed; what it resolves to is acknowledged. */
  readonly prepare?: (store: Store<number>) => Promise<unknown>;
  /** What lies there after `prepare`. Default: `BEFORE`. */
  readonly prepared?: Records;
  readonly act: (target: Target) => Promise<unknown>;
  /** What lies there when it took effect. Default: what lay there before. */
  readonly effect?: (before: Records) => Records;
  /** It may fail after it took effect, and the error is that of the step that failed. */
  readonly inSteps?: boolean;
  /** What it resolves to, where that is more than undefined. */
  readonly result?: unknown;
}

export const QUIET = {
  checkpointThreshold: 1_000_000,
  checkpointOnClose: false,
  leaseTtlMs: 300,
  gcGraceMs: 0,
  onWarning: (): void => undefined,
} satisfies StoreOptions<number>;

const AGENT = { ...QUIET, agentId: "agent" };
const MODES: readonly (readonly [string, StoreOptions<number>])[] = [
  ["single writer", QUIET],
  ["agent", AGENT],
  ["lazy agent", { ...AGENT, skipLoad: true }],
];
const LAZY = { ...AGENT, skipLoad: true };
const GROUP = { ...QUIET, writeMode: "group", groupCommitMs: 1e9 } as const;

function withRecords(...records: [string, number | undefined][]): (before: Records) => Records {
  return (before) => {
    const after = new Map(before);
    for (const [id, value] of records) {
      if (value === undefined) after.delete(id);
      else after.set(id, value);
    }
    return after;
  };
}

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

type Operation = Omit<StoreOperation, "options">;

const WRITES: readonly Operation[] = [
  { name: "set", act: ({ store }) => store.set("a", 9), effect: withRecords(["a", 9]) },
  { name: "delete", act: ({ store }) => store.delete("d"), effect: withRecords(["d", undefined]) },
  {
    name: "update",
    act: ({ store }) => store.update("c", (current = 0) => current + 5),
    effect: withRecords(["c", 7]),
    result: 7,
  },
  {
    name: "batch",
    act: ({ store }) =>
      store.batch(() => {
        void store.set("a", 9);
        void store.set("new", 9);
        void store.set("c", 9);
      }),
    effect: withRecords(["a", 9], ["new", 9], ["c", 9]),
  },
  {
    name: "undo",
    prepare: (store) => store.set("b", 3),
    prepared: withRecords(["b", 3])(BEFORE),
    act: ({ store }) => store.undo(),
    effect: withRecords(["b", 1]),
    result: true,
  },
  { name: "compact", act: ({ store }) => store.compact() },
  { name: "refresh", act: ({ store }) => store.refresh() },
  { name: "flush", act: ({ store }) => store.flush() },
  { name: "close", act: ({ store }) => store.close() },
];

const READS: readonly Operation[] = [
  { name: "read", act: ({ store }) => store.read("c"), result: 2 },
  {
    name: "readMany",
    act: ({ store }) => store.readMany(["a", "e", "c", "d"]),
    result: new Map(withRecords(["b", undefined])(BEFORE)),
  },
  { name: "hydrate of all", act: ({ store }) => store.hydrate() },
  { name: "hydrate", act: ({ store }) => store.hydrate(["a", "d"]) },
  { name: "scan", act: ({ store }) => collect(store.scan()), result: [...BEFORE] },
  {
    name: "scan of a range",
    act: ({ store }) => collect(store.scan({ from: "b", reverse: true, limit: 2 })),
    result: [
      ["d", 2],
      ["c", 2],
    ],
  },
  {
    name: "streamSnapshot",
    act: ({ store }) => collect(store.streamSnapshot()),
    result: ["a", "b", "c", "e"].map((id) => [id, 1]),
  },
  {
    name: "getWalOps",
    act: async ({ store }) => (await collect(store.getWalOps())).map(({ id, op }) => `${op} ${id}`),
    result: ["delete e", "set c", "set d"],
  },
  { name: "tail", act: ({ store }) => store.tail(), result: [] },
  { name: "loadArchive", act: ({ store }) => store.loadArchive(ARCHIVE), result: ARCHIVED },
];

const OTHERS: readonly StoreOperation[] = [
  {
    name: "archive",
    options: AGENT,
    act: ({ store }) => store.archive((_, id) => id === "a" || id === "c", "q"),
    effect: withRecords(["a", undefined], ["c", undefined]),
    result: 2,
  },
  {
    name: "flush of grouped writes",
    options: GROUP,
    act: async ({ store }) => {
      await store.batch(() => {
        void store.set("a", 9);
        void store.delete("b");
      });
      await store.flush();
    },
    effect: withRecords(["a", 9], ["b", undefined]),
  },
  {
    name: "close with grouped writes and a checkpoint",
    options: { ...GROUP, checkpointOnClose: true },
    act: async ({ store }) => {
      await store.set("a", 9);
      await store.close();
    },
    effect: withRecords(["a", 9]),
    inSteps: true,
  },
  {
    name: "a write that brings a checkpoint",
    options: { ...AGENT, checkpointThreshold: 1 },
    act: ({ store }) => store.set("a", 9),
    effect: withRecords(["a", 9]),
  },
  {
    name: "a blind write",
    options: { ...LAZY, blindWrites: true },
    act: ({ store }) => store.set("a", 9),
    effect: withRecords(["a", 9]),
  },
  {
    name: "compact without a store",
    options: { ...LAZY, readOnly: true },
    act: async ({ location, backend }) => {
      const { leaseTtlMs, gcGraceMs, onWarning } = QUIET;
      await compact(location, { backend, leaseTtlMs, gcGraceMs, onWarning, full: true });
    },
  },
  {
    name: "verify",
    options: { ...LAZY, readOnly: true },
    act: async ({ location, backend }) => (await verify(location, { backend })).problems,
    result: [],
  },
];

export const OPERATIONS: readonly StoreOperation[] = [
  ...MODES.flatMap(([mode, options]) =>
    WRITES.map((operation) => ({ ...operation, name: `${operation.name}, ${mode}`, options })),
  ),
  ...READS.map((operation) => ({ ...operation, name: `${operation.name}, lazy`, options: LAZY })),
  ...OTHERS,
];

/** Ways to open, which calls to the backend fail under. */
export const OPENINGS: readonly (readonly [string, StoreOptions<number>])[] = [
  ...MODES,
  ["lazy single writer", { ...QUIET, skipLoad: true }],
  ["reader", { ...QUIET, readOnly: true }],
  ["lazy reader", { ...QUIET, readOnly: true, skipLoad: true }],
];
