/**
 * Every call that an archive makes on its backend fails once, before it takes effect and after it,
 * and once more for good, as when the process dies there. Whoever opens the store then finds each
 * record in it or in the archive: never in neither place, and never in both.
 */
import { describe, expect, test } from "vitest";
import { WriteOutcomeUnknownError } from "../../src/core/errors.ts";
import { compact } from "../../src/compaction/compact.ts";
import type { Store } from "../../src/store/store.ts";
import { sampled } from "../support/effort.ts";
import { failingBackend, type Fate } from "../support/failing-backend.ts";
import { type Fixture, type MakeMedium, type Medium, setUp } from "./fixture.ts";
import { directoryMedium, memoryMedium } from "./media.ts";

/** On a directory, which takes longer, without what looks the same one call later or earlier. */
const MEDIA: readonly (readonly [string, MakeMedium, readonly Way[]])[] = [
  ["memory", memoryMedium, ["fails before", "fails after", "dies before", "dies after"]],
  ["a directory", directoryMedium, ["fails after", "dies after"]],
];
const QUIET = { checkpointThreshold: 1_000_000, checkpointOnClose: false, leaseTtlMs: 300 };
const IDS = ["a", "b", "c", "d", "e"];
const CHOSEN = ["a", "c", "e"];

type Way = "fails before" | "fails after" | "dies before" | "dies after";

/** The n-th call fails; from then on every call, where the process dies. */
function fateAt(at: number, way: Way): (call: number) => Fate {
  const isBefore = way.endsWith("before");
  return (call) => {
    if (call === at) return isBefore ? "refused" : "answer lost";
    if (call > at && way.startsWith("dies")) return isBefore ? "refused" : "never lands";
    return "works";
  };
}

/** Whoever sleeps there puts its clock forward instead. */
async function withoutWaiting(make: MakeMedium): Promise<Medium> {
  const medium = await make();
  const sleep = async (ms: number): Promise<void> => medium.pass(ms);
  return { ...medium, runtime: { ...medium.runtime, sleep } };
}

/** Records in a run, in the log, and changed since the run. */
async function fill({ open }: Fixture): Promise<void> {
  const store = await open<number>({ ...QUIET, agentId: "filler" });
  await store.batch(() => {
    for (const id of ["a", "b", "c"]) void store.set(id, 1);
  });
  await store.compact();
  await store.set("c", 2);
  await store.set("d", 2);
  await store.set("e", 2);
  await store.close();
}

interface Outcome {
  readonly calls: readonly string[];
  readonly result: unknown;
  readonly live: readonly string[];
  readonly archived: readonly string[];
}

/** Archives with a failure at one call, and looks with fresh eyes. */
async function runWith(make: MakeMedium, at: number, way: Way): Promise<Outcome> {
  const fixture = await setUp(() => withoutWaiting(make));
  const { medium, open } = fixture;
  await fill(fixture);
  const failing = failingBackend(medium.backend());
  const options = { ...QUIET, agentId: "archiver", backend: failing.backend };
  const store = await open<number>(options);
  failing.arm(fateAt(at, way));
  const result: unknown = await store
    .archive((_, id) => CHOSEN.includes(id), "p")
    .catch((error: unknown) => error);
  if (typeof result === "number") expectArchivedIn(store);
  // As when it died: nobody closes it.
  const outcome = { calls: [...failing.calls], result, ...(await look(fixture)) };
  await expectHealthy(fixture, outcome);
  return outcome;
}

async function look({ open }: Fixture): Promise<Pick<Outcome, "live" | "archived">> {
  const reader = await open<number>({ readOnly: true });
  const names = reader.listArchiveSegments();
  const archived = names.length === 0 ? [] : [...(await reader.loadArchive("p")).keys()];
  return {
    live: reader
      .entries()
      .map(([id]) => id)
      .toSorted(),
    archived,
  };
}

function expectArchivedIn(store: Store<number>): void {
  expect(
    store
      .entries()
      .map(([id]) => id)
      .toSorted(),
  ).toEqual(["b", "d"]);
}

/** Compactions change nothing of it and leave no litter; the next archive does what is left. */
async function expectHealthy(fixture: Fixture, { live, archived }: Outcome): Promise<void> {
  const { medium, open, objects } = fixture;
  await medium.pass(QUIET.leaseTtlMs + 1_000);
  const other = await open<number>({ ...QUIET, agentId: "other" });
  await other.set("z", 1);
  const settings = { backend: medium.backend(), gcGraceMs: 0, leaseTtlMs: QUIET.leaseTtlMs };
  await compact(medium.location, { ...settings, full: true });
  expect([...(await objects("archive/"))]).toHaveLength(archived.length === 0 ? 0 : 1);
  expect(await look(fixture)).toEqual({ live: [...live, "z"], archived });
  await other.archive((_, id) => CHOSEN.includes(id), "p");
  expect(await look(fixture)).toEqual({ live: ["b", "d", "z"], archived: CHOSEN });
}

describe.each(MEDIA)("on %s", (_, make, ways) => {
  test.each(ways)("each call %s its effect", { timeout: 120_000 }, async (way) => {
    const { calls } = await runWith(make, Number.POSITIVE_INFINITY, way);
    expect(calls.filter((call) => call.startsWith("put archive/"))).toHaveLength(1);
    expect(calls.filter((call) => call === "put manifest.json").length).toBeGreaterThan(1);
    const seen = new Set<string>();
    for (const at of sampled(calls.keys(), 4, ways.indexOf(way))) {
      const { result, live, archived } = await runWith(make, at, way);
      const where = `${way} ${at}, ${calls[at]}: ${String(result)}`;
      const isMoved = archived.length > 0;
      expect([archived, live], where).toEqual(
        isMoved ? [CHOSEN, ["b", "d"]] : [[], IDS], // All of them, or none.
      );
      seen.add(isMoved ? "moved" : "stayed");
      if (typeof result === "number") {
        expect([result, isMoved], where).toEqual([3, true]);
      } else if (isMoved) {
        expect(result, where).toBeInstanceOf(WriteOutcomeUnknownError);
      } else {
        expect(result, where).toMatchObject({
          action: expect.stringMatching(/^(retry|outcome-unknown)$/),
        });
      }
    }
    // What fails early stays; what fails late has moved.
    expect(seen).toEqual(new Set(["stayed", "moved"]));
  });
});
