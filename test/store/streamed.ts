/** What the cases of the streams share: consumers of streams, and compactions under them. */
import type { Operation } from "../../src/core/operation.ts";
import { compact } from "../../src/compaction/compact.ts";
import type { Store } from "../../src/store/store.ts";
import type { Fixture } from "./fixture.ts";

/** Replaced runs are deleted by the next pass. */
export const AT_ONCE = { gcGraceMs: 0 };
export const idsBelow = (count: number): string[] =>
  Array.from({ length: count }, (_, at) => `r${String(at).padStart(5, "0")}`);

export async function taken<E>(stream: AsyncIterable<E>): Promise<E[]> {
  const all: E[] = [];
  for await (const each of stream) all.push(each);
  return all;
}

export function apply<T>(state: Map<string, T>, { op, id, data }: Operation<T>): void {
  if (op === "set" && data !== undefined) state.set(id, data);
  else state.delete(id);
}

/** What a program holds that takes the snapshot and then every operation as it comes. */
export async function rebuilt<T>(
  store: Store<T>,
  between: () => Promise<unknown> = () => Promise.resolve(),
): Promise<Map<string, T>> {
  const state = new Map(await taken(store.streamSnapshot()));
  await between();
  for await (const operation of store.getWalOps()) apply(state, operation);
  return state;
}

/** Merges everything into one run and deletes what it was made of. */
export async function compactAway({ medium, open }: Fixture): Promise<void> {
  const pass = (full: boolean): ReturnType<typeof compact> =>
    compact(medium.location, { ...AT_ONCE, backend: medium.backend(), full });
  await pass(true);
  const other = await open({ agentId: "other", skipLoad: true });
  await other.set("~touched", "so that there is something to do");
  await other.delete("~touched");
  await pass(true);
  await pass(true);
}

export async function fill(store: Store<unknown>, count: number, characters = 1): Promise<void> {
  const text = "x".repeat(characters);
  await store.batch(() => {
    for (const id of idsBelow(count)) void store.set(id, text);
  });
}
