/** Log that cannot be read: reported and left out, or thrown; never deleted, never purged over. */
import { describe, expect, test } from "vitest";
import { CorruptionError } from "../../src/core/errors.ts";
import { decodeManifest, type Manifest } from "../../src/format/manifest-codec.ts";
import { segmentPath } from "../../src/format/paths.ts";
import { compact } from "../../src/compaction/compact.ts";
import { encoded } from "../log/support.ts";
import { flip } from "../runs/support.ts";
import { type Fixture, setUp, SHORT_GRACES } from "./fixture.ts";
import { directoryMedium, memoryMedium } from "./media.ts";
import { namesOf, type RawFiles, rawFiles } from "./raw-files.ts";

type Filled = Fixture & { readonly files: RawFiles };

/** Three flushes: a, b, c. */
async function fill(makeMedium: typeof memoryMedium): Promise<Filled> {
  const fixture = await setUp(makeMedium, SHORT_GRACES);
  const store = await fixture.open({ checkpointOnClose: false, ...SHORT_GRACES });
  for (const id of ["a", "b", "c"]) await store.set(id, `value of ${id}`);
  await store.close();
  return { ...fixture, files: await rawFiles(fixture.medium) };
}

/** Damages the flush that holds b: its name and what its file held. */
async function damage({ files }: Filled): Promise<{ name: string; whole: Buffer }> {
  for (const name of await namesOf(files, "segment")) {
    const whole = await files.read(name);
    const at = whole.indexOf('"value of b"');
    if (at < 0) continue;
    await files.write(name, flip(whole, at + 3, 1));
    return { name, whole };
  }
  throw new Error("no flush holds b");
}

async function manifestOf({ files }: Filled): Promise<Manifest> {
  const [name = ""] = await namesOf(files, "manifest");
  return decodeManifest(await files.read(name), name);
}

describe.each([
  ["memory", memoryMedium],
  ["a directory", directoryMedium],
] as const)("on %s", (_, makeMedium) => {
  test('"skip" continues without it, warns once by name and counts it', async () => {
    const fixture = await fill(makeMedium);
    const { name } = await damage(fixture);
    const store = await fixture.open({ checkpointOnClose: false });
    expect(store.entries().map(([id]) => id)).toEqual(["a", "c"]);
    expect(store.stats()).toMatchObject({ corruptSegments: 1, activeRecords: 2, opsCount: 2 });
    await store.refresh();
    await store.set("d", 1);
    expect(fixture.warnings).toEqual([
      expect.stringContaining(`skipped what cannot be read: ${name}`),
    ]);
    expect(store.stats().corruptSegments).toBe(1);
    const found = await fixture.lookUp(["a", "b", "c", "d"]);
    expect([...found.keys()]).toEqual(["a", "c", "d"]);
  });

  test('"throw" refuses to open, or to read what it would need', async () => {
    const fixture = await fill(makeMedium);
    const { name, whole } = await damage(fixture);
    const eager = fixture.open({ onCorrupt: "throw" });
    await expect(eager).rejects.toThrow(CorruptionError);
    await expect(eager).rejects.toMatchObject({ path: name, action: "stop" });
    const read = async (): Promise<unknown> => {
      const lazy = await fixture.open({ onCorrupt: "throw", skipLoad: true, readOnly: true });
      return lazy.read("b");
    };
    await expect(read()).rejects.toMatchObject({ code: "CORRUPTION", path: name });
    expect(fixture.warnings).toEqual([]);
    await fixture.files.write(name, whole);
    const repaired = await fixture.open({ onCorrupt: "throw" });
    expect(repaired.count()).toBe(3);
  });

  test("compaction reports it, never deletes it, and it counts again once repaired", async () => {
    const fixture = await fill(makeMedium);
    const { name, whole } = await damage(fixture);
    const damaged = await fixture.files.read(name);
    const store = await fixture.open({ agentId: "w", checkpointOnClose: false, gcGraceMs: 0 });
    for (let n = 0; n < 4; n++) {
      await store.set("d", n);
      await store.compact();
    }
    const { medium, warnings } = fixture;
    const report = await compact(medium.location, {
      backend: medium.backend(),
      onWarning: (message) => void warnings.push(message),
    });
    expect(report).toMatchObject({ corrupt: 1 });
    expect(warnings.at(-1)).toContain(`not compacted, because it cannot be read: ${name}`);
    expect((await fixture.files.read(name)).equals(damaged)).toBe(true);
    expect(new Map(await fixture.entries()).get("d")).toBe(3);
    await fixture.files.write(name, whole);
    expect(new Map(await fixture.entries()).get("b")).toBe("value of b");
    await compact(medium.location, { backend: medium.backend() });
    expect(await fixture.flushes()).toBe(0);
    expect((await fixture.entries()).length).toBe(4);
  });

  test("nothing is purged while a part of the log cannot be read", async () => {
    const fixture = await fill(makeMedium);
    const { name, whole } = await damage(fixture);
    const store = await fixture.open({ agentId: "w", checkpointOnClose: false, ...SHORT_GRACES });
    await store.delete("a");
    const pass = async (): Promise<void> => {
      await fixture.medium.pass(SHORT_GRACES.tombstoneGraceMs + 1_000);
      const options = { ...SHORT_GRACES, backend: fixture.medium.backend(), full: true };
      await compact(fixture.medium.location, { ...options, onWarning: () => {} });
      await store.set("d", 1);
    };
    for (let n = 0; n < 4; n++) await pass();
    expect(await manifestOf(fixture)).toMatchObject({ purgeFloor: 0, lastPurge: 0 });
    await fixture.files.write(name, whole);
    for (let n = 0; n < 3; n++) await pass();
    expect((await manifestOf(fixture)).purgeFloor).toBeGreaterThan(0);
    expect(new Map(await fixture.entries())).toEqual(
      new Map<string, unknown>([
        ["b", "value of b"],
        ["c", "value of c"],
        ["d", 1],
      ]),
    );
  });
});

describe("on memory, where a flush is an object", () => {
  test("a segment that is cut short or empty is reported", async () => {
    const fixture = await fill(memoryMedium);
    const [name = ""] = await namesOf(fixture.files, "segment");
    const whole = await fixture.files.read(name);
    for (let length = 0; length < whole.length; length += 7) {
      await fixture.files.write(name, whole.subarray(0, length));
      const store = await fixture.open({ readOnly: true });
      expect([store.count(), store.stats().corruptSegments], `cut at ${length}`).toEqual([2, 1]);
    }
  });

  test("a name that claims other clocks than it holds, or impossible ones, is reported", async () => {
    const fixture = await fill(memoryMedium);
    const { bytes, filter } = encoded(["x"], 50);
    const names = [
      { n: 1, lo: 49, hi: 50 },
      { n: 2, lo: 50, hi: Number.MAX_SAFE_INTEGER },
      { n: 3, lo: 51, hi: 50 },
      { n: 4, lo: 0, hi: 50 },
    ];
    for (const name of names) {
      const stream = "agent-evil-1-0123456789abcdef";
      await fixture.files.write(segmentPath({ ...name, stream, filter }), bytes);
    }
    const store = await fixture.open({ checkpointOnClose: false });
    expect([store.count(), store.stats().corruptSegments]).toEqual([3, 4]);
    await store.set("d", 1);
    await store.compact();
    expect(await fixture.flushes()).toBe(4);
    expect((await fixture.entries()).length).toBe(4);
  });
});

describe("on a directory, where a flush is a frame", () => {
  test("a torn tail is silent: it was never acknowledged", async () => {
    const fixture = await fill(directoryMedium);
    const [name = ""] = await namesOf(fixture.files, "segment");
    const whole = await fixture.files.read(name);
    const tails = [whole.subarray(0, 40), whole.subarray(0, -1), Buffer.alloc(700)].map((tail) =>
      tail.subarray(0, Math.min(tail.length, whole.indexOf('"data"'))),
    );
    for (const tail of tails) {
      await fixture.files.write(name, Buffer.concat([whole, tail]));
      const store = await fixture.open({ onCorrupt: "throw", readOnly: true });
      expect([store.count(), store.stats().corruptSegments]).toEqual([3, 0]);
    }
    const writer = await fixture.open({ onCorrupt: "throw" });
    await writer.set("d", 1);
    await writer.compact();
    expect([await fixture.flushes(), (await fixture.entries()).length]).toEqual([0, 4]);
    expect(fixture.warnings).toEqual([]);
  });

  test("a damaged frame costs one flush, wherever it lies", async () => {
    const fixture = await fill(directoryMedium);
    const [name = ""] = await namesOf(fixture.files, "segment");
    const whole = await fixture.files.read(name);
    for (const [n, id] of ["a", "b", "c"].entries()) {
      const at = whole.indexOf(`"value of ${id}"`);
      await fixture.files.write(name, flip(whole, at + 4, 1));
      const store = await fixture.open({ readOnly: true });
      expect(store.entries().map(([found]) => found)).toEqual(["a", "b", "c"].toSpliced(n, 1));
      expect(store.stats().corruptSegments).toBe(1);
    }
  });
});
