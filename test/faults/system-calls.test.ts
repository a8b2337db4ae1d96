/**
 * As calls.test.ts, one storey below: every system call that an operation makes on a directory
 * fails once, before it takes effect and after it, as a disk or a network file system may do.
 */
import { afterAll, describe, expect, test } from "vitest";
import type { StorageBackend } from "../../src/storage/backend.ts";
import { sampled } from "../support/effort.ts";
import { expectAllowed, expectGoesOn } from "./checks.ts";
import { changes, failingFiles, type SystemFate } from "./failing-files.ts";
import { BEFORE, OPENINGS, OPERATIONS, QUIET } from "./operations.ts";
import { onDisk } from "./place.ts";
import { settle, type Settled } from "./settled.ts";

const NAMES = [
  "set, single writer",
  "batch, agent",
  "delete, lazy agent",
  "undo, agent",
  "compact, agent",
  "close, single writer",
  "archive",
  "close with grouped writes and a checkpoint",
];
const CHOSEN = OPERATIONS.filter(({ name }) => NAMES.includes(name));
const OPENED = OPENINGS.filter(([mode]) => mode !== "lazy agent" && mode !== "lazy reader");
/** What a network file system reports may have happened all the same. */
const CODE = "EIO";
const TIMEOUT = { timeout: 180_000 };

let runs = 0;
afterAll(() => console.log(`${runs} runs with one failing system call each`));

type Run = Settled & { readonly calls: readonly string[] };

async function failEverywhere(run: (at: number, fate: SystemFate) => Promise<Run>): Promise<void> {
  const { calls, status, text } = await run(Infinity, "works");
  expect(status, text).toBe("resolved");
  for (const [at, call] of sampled(placesIn(calls), 8, calls.length)) {
    await run(at, "fails");
    if (changes(call)) await run(at, "fails after its effect");
  }
}

/** Of the seals of 256 lanes, which make the same calls one after the other, on both sides of the rest. */
const SEAL_CALLS = 24;

/** Every call with its number; of seals, those of the first and of the last lanes. */
function placesIn(calls: readonly string[]): (readonly [at: number, call: string])[] {
  const isOfLane = (call: string): boolean => call.includes("/lane-");
  const first = calls.findIndex(isOfLane) + SEAL_CALLS;
  const last = calls.findLastIndex(isOfLane) - SEAL_CALLS;
  return [...calls.entries()].filter(([at]) => at <= first || at >= last);
}

describe("one system call fails", () => {
  test("all operations that are to fail are there", () => {
    expect(CHOSEN.map(({ name }) => name).toSorted()).toEqual(NAMES.toSorted());
  });

  test.each(CHOSEN)("of: $name", TIMEOUT, async (operation) => {
    await failEverywhere(async (at, fate) => {
      runs++;
      const place = await onDisk();
      const failing = failingFiles(place.disk, CODE);
      const backend = place.backend(failing.files);
      const store = await place.open(operation.options, backend);
      await operation.prepare?.(store);
      failing.arm((call) => (call === at ? fate : "works"));
      const { location } = place;
      const settled = await settle(() => operation.act({ store, location, backend }));
      const calls = [...failing.calls];
      failing.disarm();
      const where = `${calls[at] ?? "no call"} (${at}) ${fate}; ${settled.text}`;
      const before = operation.prepared ?? BEFORE;
      const after = operation.effect?.(before) ?? before;
      const found = await expectAllowed(place, settled, [before, after], where, operation.inSteps);
      await expectGoesOn(place, store, found, where);
      return { ...settled, calls };
    });
  });

  test.each(OPENED)("of opening as %s", TIMEOUT, async (_mode, options) => {
    await failEverywhere(async (at, fate) => {
      runs++;
      const place = await onDisk();
      const failing = failingFiles(place.disk, CODE);
      failing.arm((call) => (call === at ? fate : "works"));
      const settled = await settle(() => place.open(options, place.backend(failing.files)));
      const calls = [...failing.calls];
      failing.disarm();
      const where = `${calls[at] ?? "no call"} (${at}) ${fate}; ${settled.text}`;
      await expectAllowed(place, settled, [BEFORE, BEFORE], where);
      place.runtime.pass(QUIET.leaseTtlMs * 4);
      const next =
        settled.status === "resolved" ? settled : await settle(() => place.open(options));
      expect(next.status, `${where}; then ${next.text}`).toBe("resolved");
      if (next.status === "resolved") await expectGoesOn(place, next.value, BEFORE, where);
      return { ...settled, calls };
    });
  });
});

const BLOB = Buffer.from("new");
const BLOB_CALLS: readonly (readonly [string, (backend: StorageBackend) => Promise<unknown>])[] = [
  ["writeBlob", (backend) => backend.writeBlob("blobs/a", BLOB)],
  ["readBlob", (backend) => backend.readBlob("blobs/a")],
  ["readBlobRange", (backend) => backend.readBlobRange("blobs/a", 1, 2)],
  ["listBlobs", (backend) => backend.listBlobs("blobs/")],
  ["deleteBlob", (backend) => backend.deleteBlob("blobs/a")],
  ["deleteBlobDir", (backend) => backend.deleteBlobDir("blobs/")],
];

test.each(BLOB_CALLS)("one system call fails of %s", TIMEOUT, async (name, act) => {
  await failEverywhere(async (at, fate) => {
    runs++;
    const place = await onDisk();
    const failing = failingFiles(place.disk, CODE);
    const backend = place.backend(failing.files);
    await backend.initialize(place.location, { readOnly: false });
    await backend.writeBlob("blobs/a", "old");
    failing.arm((call) => (call === at ? fate : "works"));
    const settled = await settle(() => act(backend));
    const calls = [...failing.calls];
    failing.disarm();
    const where = `${calls[at] ?? "no call"} (${at}) ${fate}; ${settled.text}`;
    const found = String(await backend.readBlob("blobs/a").catch(() => "none"));
    const after = name === "writeBlob" ? "new" : name.startsWith("delete") ? "none" : "old";
    if (settled.status === "resolved") expect(found, where).toBe(after);
    else {
      expect(settled.code, where).toMatch(/^(UNAVAILABLE|OUTCOME_UNKNOWN)$/);
      // A deletion may be repeated: whether it took effect need not be told.
      const mayHave = settled.code === "OUTCOME_UNKNOWN" || name.startsWith("delete");
      expect(mayHave ? ["old", after] : ["old"], where).toContain(found);
    }
    await backend.writeBlob("blobs/a", BLOB);
    expect(String(await backend.readBlob("blobs/a")), where).toBe("new");
    await backend.shutdown();
    return { ...settled, calls };
  });
});
