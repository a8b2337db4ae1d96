/** The upgrade dies at any of its calls; what is left is the original's store or the upgraded one. */
import { describe, expect, test } from "vitest";
import { UnavailableError } from "../../src/core/errors.ts";
import { DEFAULT_SETTINGS } from "../../src/core/settings.ts";
import { compact } from "../../src/compaction/compact.ts";
import { directoryMedium, memoryMedium } from "../store/media.ts";
import type { Fixture, MakeMedium } from "../store/fixture.ts";
import { repeat } from "../support/effort.ts";
import { isRepeatedSeal } from "../support/seal-calls.ts";
import { interceptBackend } from "./intercepted-backend.ts";
import { type Fields, originalObjects, runCompaction, setUpOriginal } from "./support.ts";

const LEASE_MS = 60_000;
/** From a call that dies to the next one; odd, because even calls die in another way than odd ones. */
const STEP = repeat({ quick: 5, full: 1 });

interface Crash {
  /** Of the calls to the backend, 1 the first. */
  readonly at: number;
  /** The call takes effect, but nobody learns of it. */
  readonly landing: boolean;
}

/** Runs a compaction that dies. @returns whether it came so far */
async function dies({ medium }: Fixture, { at, landing }: Crash): Promise<boolean> {
  let calls = 0;
  const backend = interceptBackend(medium.backend(), async (call, work) => {
    if (!isRepeatedSeal(call)) calls++;
    else if (calls < at) return work();
    if (calls === at && landing) await work();
    if (calls >= at) throw new UnavailableError("the process died");
    return work();
  });
  const options = { backend, gcGraceMs: 0, onWarning: () => undefined };
  const outcome = await compact(medium.location, options).catch((error: unknown) => error);
  if (calls < at) expect(outcome).toMatchObject({ outcome: "published" });
  return calls >= at;
}

type Upgraded = Fixture & { readonly expected: Map<string, Fields> };

async function expectWhole(fixture: Upgraded): Promise<void> {
  const { expected } = fixture;
  expect(new Map(await fixture.entries())).toEqual(expected);
  expect(await fixture.lookUp([...expected.keys(), "r2"])).toEqual(expected);
  const store = await fixture.open({ readOnly: true });
  expect((await store.loadArchive("2025-Q3")).get("r7")).toMatchObject({ n: 7 });
  await store.close();
}

/** Nothing of the original and no orphan is left, and every record is. */
async function expectCompletes(fixture: Upgraded): Promise<void> {
  const { medium } = fixture;
  for (let pass = 1; pass <= 3; pass++) {
    await medium.pass(LEASE_MS + 5_000);
    const { outcome } = await runCompaction(medium, { gcGraceMs: 1_000 });
    expect(["published", "idle"]).toContain(outcome);
    await expectWhole(fixture);
  }
  expect(await originalObjects(fixture)).toEqual([]);
  const store = await fixture.open({ agentId: "after", checkpointOnClose: false });
  await store.set("after", { n: 1 });
  await store.close();
  await runCompaction(medium, { full: true, gcGraceMs: 0 });
  await medium.pass(DEFAULT_SETTINGS.segmentGraceMs + 2_000);
  await runCompaction(medium, { gcGraceMs: 1_000 });
  const left = [...(await fixture.objects("snapshots/")).keys()];
  expect(left.toSorted().map((path) => path.split(".").at(-1))).toEqual(["index", "jsonl"]);
  expect(new Map(await fixture.entries())).toEqual(
    new Map([...fixture.expected, ["after", { n: 1 }]]),
  );
}

async function crashEverywhere(make: MakeMedium, landing: boolean): Promise<number> {
  for (let at = 1; ; at += STEP) {
    const fixture = await setUpOriginal(make);
    const died = await dies(fixture, { at, landing });
    await expectWhole(fixture);
    await expectCompletes(fixture);
    if (!died) return at - 1;
  }
}

const MEDIA = [
  ["in memory", memoryMedium],
  ["on a directory", directoryMedium],
] as const;

describe.each(MEDIA)("a crash of the upgrade %s", (_, make) => {
  test.each([
    ["before the call takes effect", false],
    ["after it", true],
  ])("at every call, %s", { timeout: 120_000 }, async (_when, landing) => {
    expect(await crashEverywhere(make, landing)).toBeGreaterThan(25);
  });

  test(
    "at every call of the pass that deletes the original's objects",
    { timeout: 120_000 },
    async () => {
      for (let at = 1; ; at += STEP) {
        const fixture = await setUpOriginal(make);
        await runCompaction(fixture.medium, { gcGraceMs: 0 });
        await fixture.medium.pass(2_000);
        const died = await dies(fixture, { at, landing: at % 2 === 0 });
        await expectWhole(fixture);
        await expectCompletes(fixture);
        if (died) continue;
        expect(at).toBeGreaterThan(8);
        return;
      }
    },
  );
});
