/** What must hold after a failure, whatever failed. */
import { expect } from "vitest";
import { OpslogError } from "../../src/core/errors.ts";
import type { Store } from "../../src/store/store.ts";
import { verify } from "../../src/store/verify.ts";
import { BEFORE, QUIET, type Records } from "./operations.ts";
import type { Place } from "./place.ts";
import { settle, type Settled } from "./settled.ts";

export async function contents({ open }: Place): Promise<Records> {
  const reader = await open({ ...QUIET, readOnly: true });
  const entries = new Map(reader.entries());
  const lazy = await open({ ...QUIET, readOnly: true, skipLoad: true });
  expect(await lazy.readMany([...BEFORE.keys(), "e", "new", "z"])).toEqual(entries);
  await Promise.all([reader.close(), lazy.close()]);
  return entries;
}

/** Whole or not at all, as the outcome says. */
export async function expectAllowed(
  place: Place,
  settled: Settled,
  [before, after]: readonly [Records, Records],
  where: string,
  isInSteps = false,
): Promise<Records> {
  const found = await contents(place);
  if (settled.status === "resolved") {
    expect(found, where).toEqual(after);
    return found;
  }
  const { error } = settled;
  expect(error, where).toBeInstanceOf(OpslogError);
  if (!(error instanceof OpslogError)) return found;
  expect(["retry", "outcome-unknown"], where).toContain(error.action);
  const isAbsent = error.action === "retry" && !isInSteps;
  const allowed = isAbsent ? [before] : [before, after];
  // As objects, because maps are all the same to `toContainEqual`.
  expect(allowed.map(Object.fromEntries), where).toContainEqual(Object.fromEntries(found));
  return found;
}

/** The same store works again, or says what to do; so do others, and nothing is damaged. */
export async function expectGoesOn(
  place: Place,
  store: Store<number>,
  found: Records,
  where: string,
): Promise<void> {
  const { runtime, open, location } = place;
  const expected = new Map(found);
  runtime.pass(QUIET.leaseTtlMs * 4);
  const written = await settle(async () => store.set("same", 7));
  if (written.status === "resolved") expected.set("same", 7);
  else expect(written.code, `${where}; then ${written.text}`).toMatch(/^(NOT_OPEN|READ_ONLY)$/);
  if (written.code !== "NOT_OPEN") {
    const ids = [...expected.keys(), "e"];
    expect(await store.readMany(ids), `the same store, ${where}`).toEqual(expected);
  }
  await store.close();
  const other = await open(QUIET);
  expect(new Map(other.entries()), `another store, ${where}`).toEqual(expected);
  await other.set("other", 8);
  await other.compact();
  await other.close();
  expected.set("other", 8);
  const reader = await open({ ...QUIET, readOnly: true });
  expect(new Map(reader.entries()), `after a compaction, ${where}`).toEqual(expected);
  await reader.close();
  const { problems } = await verify(location, { backend: place.backend() });
  expect(problems, where).toEqual([]);
}
