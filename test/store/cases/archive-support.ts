/** What the cases of archives share. */
import type { Store } from "../../../src/store/store.ts";
import type { Fixture } from "../fixture.ts";

export interface Task {
  readonly n: number;
  readonly done: boolean;
}

export const KEEP = { checkpointThreshold: 1_000_000, checkpointOnClose: false };
export const isDone = ({ done }: Task): boolean => done;

/** "t0" .. "t5"; the even ones are done. */
export async function fill(store: Store<Task>): Promise<void> {
  await store.batch(() => {
    for (let n = 0; n < 6; n++) void store.set(`t${n}`, { n, done: n % 2 === 0 });
  });
}

/** What an archive holds, as a fresh reader finds it. */
export async function archived({ open }: Fixture, segment: string): Promise<[string, unknown][]> {
  const reader = await open({ readOnly: true, skipLoad: true });
  return [...(await reader.loadArchive(segment))];
}

export const ODD = [
  ["t1", { n: 1, done: false }],
  ["t3", { n: 3, done: false }],
  ["t5", { n: 5, done: false }],
];
export const EVEN = [
  ["t0", { n: 0, done: true }],
  ["t2", { n: 2, done: true }],
  ["t4", { n: 4, done: true }],
];
