import { readdir } from "node:fs/promises";
import { describe, expect, test } from "vitest";
import { Store } from "opslog-serverless";
import { tempDir } from "../../support/temp-dir.ts";
import { readParagraphs } from "./control-data.ts";
import { generatePackages } from "./generate.ts";
import { startEagerReader, startLazyReader } from "./readers.ts";
import { type Entry, packageId, type PackageRecord } from "./record.ts";
import type { WorkerContext } from "./worker.ts";
import { startPreparer } from "./writers.ts";

const INDEX = `Package: 0ad
Version: 0.0.26-3
Installed-Size: 28591
Architecture: amd64
Description: Real-time strategy
 game: of ancient warfare
Tag: game::strategy, interface::x11,
 uitoolkit::sdl

Package: bash
Version: 5.2.15-2+b7
Architecture: amd64
Homepage: http://tiswww.case.edu/
`;

const PACKAGES: readonly PackageRecord[] = [
  {
    Package: "0ad",
    Version: "0.0.26-3",
    "Installed-Size": 28_591,
    Architecture: "amd64",
    Description: "Real-time strategy\ngame: of ancient warfare",
    Tag: ["game::strategy", "interface::x11", "uitoolkit::sdl"],
  },
  {
    Package: "bash",
    Version: "5.2.15-2+b7",
    Architecture: "amd64",
    Homepage: "http://tiswww.case.edu/",
  },
];

describe("the source", () => {
  test.each([1, 7, 10_000])(
    "an index read %i characters at a time gives its records",
    async (n) => {
      async function* chunks(): AsyncGenerator<string> {
        for (let at = 0; at < INDEX.length; at += n) yield INDEX.slice(at, at + n);
      }
      const found: PackageRecord[] = [];
      for await (const record of readParagraphs(chunks())) found.push(record);
      expect(found).toEqual(PACKAGES);
    },
  );

  test("a line that is no field is refused", async () => {
    async function* chunks(): AsyncGenerator<string> {
      yield "Package: a\nnonsense\n\n";
    }
    await expect(readParagraphs(chunks()).next()).rejects.toThrow('not a field: "nonsense"');
  });

  test("generated records are the same for the same seed, and each has its own id", () => {
    const records = [...generatePackages(1, 5000)];
    expect(records).toEqual([...generatePackages(1, 5000)]);
    expect(new Set(records.map(packageId)).size).toBe(5000);
  });
});

function context(location: string): WorkerContext {
  const fail = (error: unknown): void => {
    throw error;
  };
  return { location, agentId: "test", onPass: () => undefined, fail };
}

function toEntry(record: PackageRecord): Entry {
  return [packageId(record) ?? "", record];
}

const SAME = toEntry({ Package: "same", Version: "1", Architecture: "all", Tag: ["a", "b"] });
const CHANGED = toEntry({ Package: "changed", Version: "1", Architecture: "all", Tag: ["a", "b"] });
const EXTRA = toEntry({ Package: "extra", Version: "1", Architecture: "all" });
const MISSING = toEntry({ Package: "missing", Version: "1", Architecture: "all" });

/** What the store holds, against a source of `same`, `changed` and `missing`. */
async function writeDeviating(location: string): Promise<void> {
  await using store = await Store.open<PackageRecord>(location, { agentId: "a" });
  await store.set(...SAME);
  await store.set(CHANGED[0], { ...CHANGED[1], Tag: ["a"] });
  await store.set(...EXTRA);
}

describe("the check", () => {
  test("an eager reader names what is changed, missing and too much", async () => {
    await using directory = await tempDir();
    await writeDeviating(directory.path);
    const { worker } = await startEagerReader(context(directory.path));
    const handled = await worker.handle([SAME, CHANGED, MISSING]);
    const { differences } = await worker.finish();
    expect([...handled.differences, ...differences]).toEqual([
      expect.stringMatching(/^changed\/1\/all: found .*\["a"\].*, expected .*\["a","b"\]/),
      "missing/1/all: not in the store",
      "extra/1/all: not in the source",
    ]);
  });

  test("a lazy reader names what is changed and missing, together and one by one", async () => {
    await using directory = await tempDir();
    await writeDeviating(directory.path);
    const { worker } = await startLazyReader(context(directory.path));
    const sampled = await worker.sample([SAME, CHANGED, MISSING]);
    const handled = await worker.handle([SAME, CHANGED, MISSING]);
    expect(handled.differences).toEqual([
      expect.stringMatching(/^changed\/1\/all: found /),
      "missing/1/all: not in the store",
    ]);
    expect(sampled.differences).toEqual(handled.differences);
    expect((await worker.finish()).differences).toEqual([]);
  });
});

describe("the preparation", () => {
  test("packages that the source has not got are deleted, the others stay", async () => {
    await using directory = await tempDir();
    await writeDeviating(directory.path);
    const { worker, figures } = await startPreparer(context(directory.path));
    expect(figures).toEqual({ found: 3 });
    await worker.handle([SAME, CHANGED, MISSING]);
    expect((await worker.finish()).figures).toEqual({ deleted: 1 });
    await using store = await Store.open(directory.path, { readOnly: true });
    expect(
      store
        .entries()
        .map(([id]) => id)
        .toSorted(),
    ).toEqual([CHANGED[0], SAME[0]]);
  });

  test("a store of other records is refused and left as it is", async () => {
    await using directory = await tempDir();
    const store = await Store.open(directory.path);
    await store.set("task-1", { title: "x" });
    await store.close();
    const before = await readdir(directory.path, { recursive: true });
    await expect(startPreparer(context(directory.path))).rejects.toThrow(/holds other records/);
    expect(await readdir(directory.path, { recursive: true })).toEqual(before);
  });
});
