/** Archives as they lie on the medium: damaged ones are told by name, those of the original are read. */
import { Store as Original } from "@backloghq/opslog";
import { describe, expect, test } from "vitest";
import { CorruptionError, FormatVersionError } from "../../src/core/errors.ts";
import {
  type ArchiveInfo,
  decodeManifest,
  encodeManifest,
} from "../../src/format/manifest-codec.ts";
import { MemoryBackend } from "../../src/storage/memory-backend.ts";
import { Store } from "../../src/store/store.ts";
import { verify } from "../../src/store/verify.ts";
import { tempDir } from "../support/temp-dir.ts";

const KEEP = { checkpointOnClose: false, agentId: "a" };

interface Stored {
  readonly backend: MemoryBackend;
  readonly path: string;
  readonly bytes: Buffer;
}

/** "a" and "b" archived as "p" in one object; "c" is live. */
async function fill(): Promise<Stored> {
  const backend = new MemoryBackend();
  await using store = await Store.open<number>("x", { ...KEEP, backend });
  for (const [at, id] of ["a", "b", "c"].entries()) await store.set(id, at + 1);
  await store.archive((_, id) => id !== "c", "p");
  const [name = ""] = await backend.listBlobs("archive");
  return { backend, path: `archive/${name}`, bytes: await backend.readBlob(`archive/${name}`) };
}

async function load({ backend }: Stored, options = {}): Promise<Map<string, unknown>> {
  await using reader = await Store.open<unknown>("x", { backend, readOnly: true, ...options });
  return reader.loadArchive("p");
}

async function addToManifest({ backend }: Stored, ...more: readonly ArchiveInfo[]): Promise<void> {
  const manifest = decodeManifest(await backend.readBlob("manifest.json"), "manifest.json");
  const archive = [...manifest.archive, ...more];
  await backend.writeBlob("manifest.json", encodeManifest({ ...manifest, archive }));
}

describe("a damaged archive", () => {
  /** Named as such, by whoever reads it; everything else works. */
  async function expectDamage(stored: Stored, message: string): Promise<void> {
    const { backend, path } = stored;
    await expect(load(stored)).rejects.toThrow(CorruptionError);
    await expect(load(stored)).rejects.toThrow(message);
    await expect(load(stored)).rejects.toMatchObject({ path });
    const { problems } = await verify("x", { backend });
    expect(problems).toMatchObject([{ code: "CORRUPTION", path }]);
    await using reader = await Store.open<unknown>("x", { backend, readOnly: true });
    expect(reader.entries()).toEqual([["c", 3]]);
    expect(reader.listArchiveSegments()).toEqual(["archive/archive-p.json"]);
  }

  test("with one bit changed, in its header or in a record", async () => {
    for (const at of [30, -3]) {
      const stored = await fill();
      const damaged = Buffer.from(stored.bytes);
      const place = at < 0 ? damaged.length + at : at;
      damaged[place] = (damaged[place] ?? 0) ^ 1;
      await stored.backend.writeBlob(stored.path, damaged);
      await expectDamage(stored, stored.path);
    }
  });

  test("cut short, or empty", async () => {
    const stored = await fill();
    await stored.backend.writeBlob(stored.path, stored.bytes.subarray(0, -1));
    await expectDamage(stored, "SHA-256 of the archive");
    await stored.backend.writeBlob(stored.path, "");
    await expectDamage(stored, "no whole header");
  });

  test("that is not there", async () => {
    const stored = await fill();
    await stored.backend.deleteBlob(stored.path);
    await expectDamage(stored, `the manifest names ${stored.path}, which is not there`);
  });

  test("under the name of another, or with another number of records", async () => {
    for (const [wrong, message] of [
      [{ period: "q" }, 'an archive of "p", expected "q"'],
      [{ records: 3 }, "found 2 records, expected 3"],
    ] as const) {
      const stored = await fill();
      const manifest = decodeManifest(await stored.backend.readBlob("manifest.json"), "m");
      const archive = manifest.archive.map((info) => ({ ...info, ...wrong }));
      const bytes = encodeManifest({ ...manifest, archive });
      await stored.backend.writeBlob("manifest.json", bytes);
      await using reader = await Store.open<unknown>("x", {
        backend: stored.backend,
        readOnly: true,
      });
      const loading = reader.loadArchive("period" in wrong ? wrong.period : "p");
      await expect(loading).rejects.toThrow(CorruptionError);
      await expect(loading).rejects.toThrow(message);
    }
  });

  test("of a newer format requires an update", async () => {
    const stored = await fill();
    const newer = stored.bytes.toString().replace('{"format":1', '{"format":2');
    await stored.backend.writeBlob(stored.path, newer);
    await expect(load(stored)).rejects.toThrow(FormatVersionError);
  });
});

describe("an archive of the original", () => {
  const info = { period: "p", path: "archive/archive-p.json", records: 2 };
  const content = {
    version: 1,
    period: "p",
    timestamp: "2025-03-31T12:00:00.000Z",
    records: JSON.parse('{"a": "older", "__proto__": {"x": 1}}'),
  };

  test("joins those of ours; what was archived later wins", async () => {
    const stored = await fill();
    await stored.backend.writeBlob(info.path, JSON.stringify(content, null, 2));
    await addToManifest(stored, info);
    // Published after ours here, so it is the later one.
    expect(await load(stored)).toEqual(
      new Map<string, unknown>([
        ["a", "older"],
        ["b", 2],
        ["__proto__", { x: 1 }],
      ]),
    );
    expect((await verify("x", { backend: stored.backend })).problems).toEqual([]);
    await using store = await Store.open<unknown>("x", { ...KEEP, backend: stored.backend });
    await store.set("a", "newest");
    await store.archive((_, id) => id === "a", "p");
    expect((await store.loadArchive("p")).get("a")).toBe("newest");
    expect(store.listArchiveSegments()).toEqual(["archive/archive-p.json"]);
    // Compactions leave it where it is.
    await store.compact();
    expect((await stored.backend.readBlob(info.path)).toString()).toContain("older");
  });

  test("is handed out as it is: the version of its records is not known", async () => {
    const stored = await fill();
    await stored.backend.writeBlob(info.path, JSON.stringify(content));
    await addToManifest(stored, info);
    const migrate = (record: unknown): unknown => ({ record });
    expect(await load(stored, { version: 2, migrate })).toEqual(
      new Map<string, unknown>([
        ["a", "older"],
        ["b", { record: 2 }],
        ["__proto__", { x: 1 }],
      ]),
    );
  });

  test.each([{}, { agentId: "o" }])(
    "is found before and after the upgrade, %j",
    async (options) => {
      await using directory = await tempDir();
      const { path } = directory;
      const original = new Original<{ n: number }>();
      await original.open(path, options);
      for (let n = 0; n < 6; n++) await original.set(`k${n}`, { n });
      await original.archive(({ n }) => n < 2, "p");
      await original.set("k9", { n: 9 });
      await original.close();

      await using reader = await Store.open<{ n: number }>(path, { readOnly: true });
      expect(reader.listArchiveSegments()).toEqual(["archive/archive-p.json"]);
      expect([...(await reader.loadArchive("p")).keys()]).toEqual(["k0", "k1"]);
      // To archive more upgrades the store.
      await using store = await Store.open<{ n: number }>(path, KEEP);
      expect(await store.archive(({ n }) => n < 4, "p")).toBe(2);
      await reader.refresh();
      for (const either of [store, reader]) {
        expect([...(await either.loadArchive("p")).keys()]).toEqual(["k0", "k1", "k2", "k3"]);
        expect(either.listArchiveSegments()).toEqual(["archive/archive-p.json"]);
        expect(either.all()).toEqual([{ n: 4 }, { n: 5 }, { n: 9 }]);
      }
      expect(store.getManifest()?.stats).toMatchObject({ activeRecords: 3, archivedRecords: 4 });
      expect((await verify(path)).problems).toEqual([]);
    },
  );

  test.each([
    ["is not JSON", "{"],
    ["is none", "[]"],
    ["has no records", JSON.stringify({ ...content, records: undefined })],
  ])("that %s is damage", async (_, text) => {
    const stored = await fill();
    await stored.backend.writeBlob(info.path, text);
    await addToManifest(stored, info);
    await expect(load(stored)).rejects.toThrow(CorruptionError);
    await expect(load(stored)).rejects.toThrow(info.path);
  });
});
