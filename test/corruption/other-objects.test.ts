/** Damage where a small store has nothing to damage: many index parts, what an upgrade leaves. */
import { expect, test } from "vitest";
import { CorruptionError } from "../../src/core/errors.ts";
import { streamSnapshotFile } from "../../src/legacy/api/stream-snapshot-file.ts";
import { compact } from "../../src/compaction/compact.ts";
import { verify } from "../../src/store/verify.ts";
import { directory, writeTypical } from "../original/support.ts";
import { flip } from "../runs/support.ts";
import { Prng } from "../simulation/prng.ts";
import { repeat } from "../support/effort.ts";
import { filesIn, type Image, inMemory, onDirectory, withObject } from "./image.ts";
import { openAt } from "./specimen.ts";

const SEED = process.env["CORRUPTION_SEED"] ?? "corruption-1";

/** Of each object. */
const DAMAGES = repeat({ quick: 3, full: 25 });
/** With quick effort a sweep reaches one in so many of its places. */
const SPARSER = repeat({ quick: 5, full: 1 });

function bytesOf(image: Image, pattern: RegExp): { path: string; bytes: Buffer } {
  for (const [path, bytes] of image) if (pattern.test(path)) return { path, bytes };
  throw new Error(`no object is named like ${pattern.source}`);
}

test("one bit of an index of several parts, or of its run, is reported and never believed", async () => {
  await using place = await inMemory(new Map());
  const store = await openAt(place, {});
  await store.batch(() => {
    for (let n = 0; n < 17_000; n++) void store.set(`r${n}`, n);
  });
  await store.compact();
  await store.close();
  const image = await place.image();
  const dice = new Prng(SEED);
  for (const pattern of [/index$/, /snap-.*jsonl$/]) {
    const { path, bytes } = bytesOf(image, pattern);
    for (let round = 0; round < DAMAGES; round++) {
      const [at, mask] = [dice.below(bytes.length), 1 << dice.below(8)];
      await using damaged = await inMemory(withObject(image, path, flip(bytes, at, mask)));
      const what = `seed ${SEED}: ${path} byte ${at} ^ ${mask}`;
      const { problems } = await verify(damaged.location, { backend: damaged.backend() });
      expect(
        problems.map((problem) => problem.path),
        what,
      ).toContain(path);
      const reader = await openAt(damaged, { readOnly: true, skipLoad: true });
      for (let look = 0; look < 4; look++) {
        const n = dice.below(17_000);
        const found = await reader.read(`r${n}`).catch((error: unknown) => error);
        if (found instanceof CorruptionError) expect(found.path, what).toBe(path);
        else expect(found, what).toBe(n);
      }
    }
  }
});

test("a run read as a file by itself is verified by the index beside it", async () => {
  await using place = await onDirectory(new Map());
  const store = await openAt(place, {});
  for (const id of ["a", "b"]) await store.set(id, { text: "value" });
  await store.compact();
  await store.close();
  const { path, bytes } = bytesOf(await place.image(), /snap-.*jsonl$/);
  const read = async (): Promise<number> => {
    let count = 0;
    for await (const [, value] of streamSnapshotFile(place.location, path)) {
      expect(value).toEqual({ text: "value" });
      count++;
    }
    return count;
  };
  expect(await read()).toBe(2);
  for (let at = 40; at < bytes.length; at += 3 * SPARSER) {
    await place.replace(path, flip(bytes, at, 1));
    await expect(read(), `byte ${at}`).rejects.toMatchObject({ code: "CORRUPTION", path });
  }
});

/** A store of the original just after its upgrade: its archive and the list of its objects stay. */
async function upgraded(): Promise<Image> {
  const location = await directory();
  await writeTypical(location);
  await compact(location);
  return filesIn(location);
}

test("one bit of the list of the original's objects deletes nothing else, and is reported", async () => {
  const image = await upgraded();
  const { path, bytes } = bytesOf(image, /retired$/);
  const originals = [...image.keys()].filter((name) => /^(ops|snapshots)\/[a-z]+-\d+\./.test(name));
  expect(originals.length).toBeGreaterThan(1);
  for (let at = 0; at < bytes.length; at += 7 * SPARSER) {
    await using place = await onDirectory(withObject(image, path, flip(bytes, at, 2)));
    const { problems } = await verify(place.location, { backend: place.backend() });
    expect(problems, `byte ${at}`).toEqual([expect.objectContaining({ path, offset: 0 })]);
    const warnings: string[] = [];
    const onWarning = (message: string): void => void warnings.push(message);
    for (let pass = 0; pass < 2; pass++) {
      const backend = place.backend();
      await compact(place.location, { backend, gcGraceMs: 0, onWarning });
    }
    expect([...(await place.image()).keys()], `byte ${at}`).toEqual(
      expect.arrayContaining(originals),
    );
    expect(warnings.join(), `byte ${at}`).toContain(path);
  }
});

test("one bit of an archive of the original is reported once the store is upgraded", async () => {
  const image = await upgraded();
  const { path, bytes } = bytesOf(image, /^archive\/.*json$/);
  for (let at = 0; at < bytes.length; at += 11 * SPARSER) {
    await using place = await onDirectory(withObject(image, path, flip(bytes, at, 4)));
    const { problems } = await verify(place.location, { backend: place.backend() });
    expect(problems, `byte ${at}`).toEqual([expect.objectContaining({ path, offset: 0 })]);
    const store = await openAt(place, { readOnly: true });
    await expect(store.loadArchive("2025-Q3"), `byte ${at}`).rejects.toThrow(CorruptionError);
  }
});

test("verify names what crashed compactions left behind, and calls it no problem", async () => {
  const image = await upgraded();
  const orphan = "snapshots/snap-0-00000000000000ff.jsonl";
  await using place = await onDirectory(withObject(image, orphan, Buffer.from("half")));
  const report = await verify(place.location, { backend: place.backend() });
  expect(report).toMatchObject({ problems: [], garbage: [orphan] });
});
