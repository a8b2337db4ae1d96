/**
 * Two stores flush together, and each call that they make fails once: each write is there, whole, or
 * not, as its own outcome says, and both stores go on.
 */
import { afterAll, expect, test } from "vitest";
import { OpslogError } from "../../src/core/errors.ts";
import { failingBackend, type Fate, isRead } from "../support/failing-backend.ts";
import { contents, expectGoesOn } from "./checks.ts";
import { BEFORE, QUIET } from "./operations.ts";
import { inMemory, type MakePlace, onDisk } from "./place.ts";
import { settle, type Settled } from "./settled.ts";

const MEDIA: readonly (readonly [string, MakePlace])[] = [
  ["in memory", inMemory],
  ["on a directory", onDisk],
];
const FATES: readonly Fate[] = ["refused", "answer lost", "never lands", "lands late"];
/** Of the writes: a record that is replaced, and a batch. */
const ONE = ["a"];
const BATCH = ["b", "new"];

let runs = 0;
afterAll(() => console.log(`${runs} runs with one failing call each`));

/** @param at of the calls of both the one that fails */
async function run(make: MakePlace, at: number, fate: Fate): Promise<readonly string[]> {
  runs++;
  const place = await make();
  const failing = failingBackend(place.backend());
  const open = (agentId: string) =>
    place.open({ ...QUIET, agentId, skipLoad: true }, failing.backend, { flushLingerMs: 10 });
  const [x, y] = await Promise.all([open("x"), open("y")]);
  failing.arm((call) => (call === at ? fate : "works"));
  const outcomes = await Promise.all([
    settle(() => x.set("a", 9)),
    settle(() => y.batch(() => BATCH.forEach((id) => void y.set(id, 9)))),
  ]);
  const calls = [...failing.calls];
  failing.disarm();
  await failing.landLate();
  const where = `${calls[at] ?? "no call"} (${at}): ${fate}; ${outcomes.map(({ text }) => text).join("; ")}`;
  const found = new Map(await contents(place));
  for (const [writer, ids] of [ONE, BATCH].entries()) {
    const landed = ids.map((id) => found.get(id) === 9);
    expect(new Set(landed).size, `a batch is whole: ${where}`).toBe(1);
    const outcome = outcomes[writer];
    if (outcome !== undefined) expectTrue(outcome, landed.includes(true), where);
  }
  await y.set("d", 5);
  await y.close();
  await x.refresh();
  await expectGoesOn(place, x, found.set("d", 5), where);
  return calls;
}

function expectTrue(outcome: Settled, isThere: boolean, where: string): void {
  if (outcome.status === "resolved") return expect(isThere, where).toBe(true);
  const { error } = outcome;
  expect(error, where).toBeInstanceOf(OpslogError);
  const action = error instanceof OpslogError ? error.action : undefined;
  expect(["retry", "outcome-unknown"], where).toContain(action);
  if (action === "retry") expect(isThere, where).toBe(false);
}

test.each(MEDIA)("one call fails while two stores flush together %s", async (name, make) => {
  const calls = await run(make, Infinity, "works");
  const puts = calls.filter((call) => call.startsWith("put ops/"));
  if (name === "in memory") expect(puts).toHaveLength(1);
  expect(BEFORE.get("a")).not.toBe(9);
  for (const [at, call] of calls.entries()) {
    for (const fate of FATES) {
      if (isRead(call) && fate !== "refused") continue;
      if (fate === "lands late" && !call.startsWith("put ")) continue;
      await run(make, at, fate);
    }
  }
});
