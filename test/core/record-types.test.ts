/** What the compiler refuses: each line below `@ts-expect-error` must not compile, or `npm test` fails. */
import { type DeepReadonly, MemoryBackend, type Storable, Store } from "opslog-serverless";
import { expect, test } from "vitest";

interface Task {
  title: string;
  done?: boolean | undefined;
  tags: string[];
  due: Date | null;
  steps: { name: string; minutes: number }[];
}
interface Cache {
  name: string;
  seen: Map<string, number>;
  list: { pattern: RegExp }[];
}

const task: Task = { title: "A", tags: ["x"], due: null, steps: [{ name: "s", minutes: 1 }] };
const open = <T>(): Promise<Store<T>> =>
  Store.open<T>("test", { backend: new MemoryBackend(), agentId: "a" });

test("a store of DeepReadonly records takes plain ones, and hands out what cannot be changed", async () => {
  await using store = await open<DeepReadonly<Task>>();
  await store.set("a", task);
  const found = store.get("a");
  if (found === undefined) throw new Error("absent");
  const changes = [
    // @ts-expect-error
    () => (found.title = "B"),
    // @ts-expect-error
    () => found.tags.push("y"),
    () => {
      const [step] = found.steps;
      // @ts-expect-error
      if (step !== undefined) step.minutes = 2;
    },
  ];
  for (const change of changes) expect(change).toThrow(TypeError);
  await store.set("a", { ...found, title: "B", tags: [...found.tags, "y"] });
  expect(store.get("a")).toEqual({ ...task, title: "B", tags: ["x", "y"] });
});

test("a store of Storable records takes none that it would refuse", async () => {
  await using tasks = await open<Storable<Task>>();
  await tasks.set("a", task);
  await using caches = await open<Storable<Cache>>();
  // @ts-expect-error
  await expect(caches.set("a", { name: "c", seen: new Map(), list: [] })).rejects.toThrow(
    "found a Map at seen",
  );
});

test("programs that know only T compile as they are", async () => {
  const put = async <T>(store: Store<T>, value: T): Promise<T | undefined> => {
    await store.set("a", value);
    return store.get("a");
  };
  await using store = await open<Task>();
  const found = await put(store, task);
  const mine: Task = { ...task, ...found };
  mine.title = "C";
  expect(mine.title).toBe("C");
  await using loose = await open<Record<string, unknown>>();
  await loose.set("a", { any: [1, { thing: null }] });
});
