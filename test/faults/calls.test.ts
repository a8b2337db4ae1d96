/**
 * Every call that an operation of the public API makes on its backend fails once: before it takes
 * effect, after it, without anybody knowing whether it did, and by taking effect much later. Then
 * whoever opens the store finds what was acknowledged before, the operation whole or not at all, as
 * its error says; and the store that met the failure goes on.
 */
import { afterAll, describe, expect, test } from "vitest";
import { sampled } from "../support/effort.ts";
import { failingBackend, type Fate, isRead } from "../support/failing-backend.ts";
import { expectAllowed, expectGoesOn } from "./checks.ts";
import { isRepeatedSeal } from "../support/seal-calls.ts";
import { BEFORE, OPENINGS, OPERATIONS, QUIET } from "./operations.ts";
import type { StoreOperation } from "./operations.ts";
import { inMemory, type MakePlace, onDisk } from "./place.ts";
import { settle, type Settled } from "./settled.ts";

const MEDIA: readonly (readonly [string, MakePlace])[] = [
  ["in memory", inMemory],
  ["on a directory", onDisk],
];
const FATES: readonly Fate[] = ["refused", "answer lost", "never lands", "lands late"];
const TIMEOUT = { timeout: 120_000 };

let runs = 0;
afterAll(() => console.log(`${runs} runs with one failing call each`));

type Run = Settled & { readonly calls: readonly string[] };

/** @param at of its calls the one that fails; none when there are fewer */
async function runOperation(
  make: MakePlace,
  operation: StoreOperation,
  [at, fate]: readonly [number, Fate],
): Promise<Run> {
  runs++;
  const place = await make();
  const failing = failingBackend(place.backend());
  const store = await place.open(operation.options, failing.backend);
  await operation.prepare?.(store);
  failing.arm((call) => (call === at ? fate : "works"));
  const { location } = place;
  const settled = await settle(() => operation.act({ store, location, backend: failing.backend }));
  const calls = [...failing.calls];
  failing.disarm();
  await failing.landLate();
  const where = `${calls[at] ?? "no call"} (${at}): ${fate}; ${settled.text}`;
  const before = operation.prepared ?? BEFORE;
  const states = [before, operation.effect?.(before) ?? before] as const;
  const found = await expectAllowed(place, settled, states, where, operation.inSteps);
  if (settled.status === "resolved") expect(settled.value, where).toEqual(operation.result);
  await expectGoesOn(place, store, found, where);
  return { ...settled, calls };
}

/** A backend that cannot lock leaves no lock: see system-calls.test.ts. */
function fatesOf(call: string): readonly Fate[] {
  if (isRead(call) || call.startsWith("lock ")) return ["refused"];
  return FATES.filter((fate) => fate !== "lands late" || call.startsWith("put "));
}

/**
 * Every call in every way, each on a medium of its own. With quick effort half of the calls, in one
 * way each: the even ones on one medium, the odd ones on the other.
 */
async function failEverywhere(
  make: MakePlace,
  run: (at: number, fate: Fate) => Promise<Run>,
): Promise<void> {
  const { calls, status, text } = await run(Infinity, "works");
  expect(status, text).toBe("resolved");
  const half = MEDIA.findIndex(([, own]) => own === make);
  const places = [...calls.entries()].filter(([, call]) => !isRepeatedSeal(call));
  for (const [at, call] of sampled(places, 2, half)) {
    for (const fate of sampled(fatesOf(call), FATES.length, at >> 1)) await run(at, fate);
  }
}

describe.each(MEDIA)("%s", (_, make) => {
  test.each(OPERATIONS)("one call fails of: $name", TIMEOUT, async (operation) => {
    await failEverywhere(make, (at, fate) => runOperation(make, operation, [at, fate]));
  });

  test.each(OPENINGS)("one call fails of opening as %s", TIMEOUT, async (_mode, options) => {
    await failEverywhere(make, async (at, fate) => {
      runs++;
      const place = await make();
      const failing = failingBackend(place.backend());
      failing.arm((call) => (call === at ? fate : "works"));
      const settled = await settle(() => place.open(options, failing.backend));
      const calls = [...failing.calls];
      failing.disarm();
      await failing.landLate();
      const where = `${calls[at] ?? "no call"} (${at}): ${fate}; ${settled.text}`;
      expect(await expectAllowed(place, settled, [BEFORE, BEFORE], where)).toEqual(BEFORE);
      place.runtime.pass(QUIET.leaseTtlMs * 4);
      const store = settled.status === "resolved" ? settled.value : await place.open(options);
      await expectGoesOn(place, store, BEFORE, where);
      return { ...settled, calls };
    });
  });
});
