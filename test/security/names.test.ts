/** Hostile names: whatever a caller passes, nothing is touched outside the store or its own names. */
import { mkdir, readdir, readFile, stat, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { AccessDeniedError, InvalidArgumentError } from "../../src/core/errors.ts";
import { FsBackend } from "../../src/storage/fs/fs-backend.ts";
import { Store } from "../../src/store/store.ts";
import { setUp } from "../store/fixture.ts";
import { directoryMedium, memoryMedium } from "../store/media.ts";
import { tempDir } from "../support/temp-dir.ts";

const HOSTILE = [
  "../../escape",
  "..",
  ".",
  "/etc/passwd",
  "a\0b",
  "C:\\Windows\\system32",
  "CON",
  "NUL.json",
  "COM1",
  ".lock",
  "manifest.json",
  "ops/evil.jsonl",
  "__proto__",
  "constructor",
  "toString",
  "\u202egnp.exe",
  "ａｄｍｉｎ",
  "é",
  "e\u0301",
  "ADMIN",
  "admin",
  "x".repeat(256),
  "line\nopslog-serverless: forged",
  "\u001b[2Jcleared",
  " ",
  "%2e%2e%2f",
  "\ud800",
];

/** Everything next to the store's directory. */
async function neighbours(location: string): Promise<string[]> {
  return readdir(join(location, ".."));
}

describe.each([
  ["memory", memoryMedium],
  ["a directory", directoryMedium],
] as const)("on %s", (_, makeMedium) => {
  test("hostile ids are records like any other, and stay apart", async () => {
    const fixture = await setUp(makeMedium);
    const store = await fixture.open({ checkpointOnClose: false });
    for (const id of HOSTILE) await store.set(id, { id });
    await store.compact();
    for (const id of HOSTILE) await store.update(id, (old) => ({ ...Object(old), again: true }));
    await store.close();
    const found = await fixture.lookUp(HOSTILE);
    expect(found).toEqual(new Map(HOSTILE.map((id) => [id, { id, again: true }])));
    expect((await fixture.entries()).length).toBe(HOSTILE.length);
    if (fixture.medium.name === "directory") {
      expect(await neighbours(fixture.medium.location)).toEqual(["store"]);
    }
  });

  test("hostile agents write into streams of their own, inside the store", async () => {
    const fixture = await setUp(makeMedium);
    for (const agentId of HOSTILE) {
      const store = await fixture.open({ agentId, checkpointOnClose: false });
      await store.set(agentId, { agentId });
      await store.close();
    }
    expect((await fixture.entries()).length).toBe(HOSTILE.length);
    const paths = [...(await fixture.objects("ops/")).keys()];
    expect(paths).toHaveLength(HOSTILE.length);
    for (const path of paths) expect(path).toMatch(/^ops\/[A-Za-z0-9_.\-/]+\.jsonl$/);
    if (fixture.medium.name === "directory") {
      expect(await neighbours(fixture.medium.location)).toEqual(["store"]);
    }
  });

  test("hostile names of archives are refused, or name an archive inside the store", async () => {
    const fixture = await setUp(makeMedium);
    const store = await fixture.open<{ n: string }>({ checkpointOnClose: false });
    let accepted = 0;
    for (const n of HOSTILE) {
      await store.set("r", { n });
      const archived = await store.archive(() => true, n).catch((error: unknown) => error);
      if (archived instanceof InvalidArgumentError) continue;
      expect(archived).toBe(1);
      expect((await store.loadArchive(n)).get("r")).toEqual({ n });
      accepted++;
    }
    await store.close();
    expect(accepted).toBeGreaterThan(5);
    const paths = [...(await fixture.objects("archive/")).keys()];
    expect(paths).toHaveLength(accepted);
    for (const path of paths) expect(path).toMatch(/^archive\/archive-[A-Za-z0-9_-]+\.jsonl$/);
  });

  test("hostile blob paths are refused before anything happens", async () => {
    const { medium } = await setUp(makeMedium);
    const backend = medium.backend();
    await backend.initialize(medium.location, { readOnly: false });
    const bad = ["../x", "/x", "a/../../x", "a\0b", "a\\b", "", "a//b", "a\nb", "x".repeat(2_000)];
    for (const path of bad) {
      await expect(backend.writeBlob(path, "x"), path).rejects.toThrow(InvalidArgumentError);
      await expect(backend.readBlob(path), path).rejects.toThrow(InvalidArgumentError);
      await expect(backend.deleteBlob(path), path).rejects.toThrow(InvalidArgumentError);
    }
    await backend.shutdown();
  });

  test("records with hostile keys change no prototype, in memory or from storage", async () => {
    const fixture = await setUp(makeMedium);
    const text = '{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}}}';
    const store = await fixture.open({ checkpointOnClose: false });
    await store.set("__proto__", JSON.parse(text));
    await store.set("__proto__", { plain: true });
    await store.undo();
    await store.compact();
    await store.set("constructor", JSON.parse(text));
    await store.close();
    const entries = await fixture.entries();
    expect(entries.map(([id, value]) => [id, JSON.stringify(value)])).toEqual([
      ["__proto__", text],
      ["constructor", text],
    ]);
    expect(Reflect.get({}, "polluted")).toBeUndefined();
    expect(Reflect.get(Function.prototype, "polluted")).toBeUndefined();
  });
});

async function outside(): Promise<{ readonly location: string; readonly secret: string }> {
  const directory = await tempDir();
  onTestFinished(() => directory[Symbol.asyncDispose]());
  const secret = join(directory.path, "secret");
  await mkdir(secret);
  await writeFile(join(secret, "file"), "outside");
  return { location: join(directory.path, "store"), secret };
}

describe("on a directory", () => {
  test.each(["ops", "snapshots", "archive", "manifests", "blobs"])(
    "a symbolic link in the place of %s/ is not followed",
    async (name) => {
      const { location, secret } = await outside();
      await mkdir(location);
      await symlink(secret, join(location, name));
      const backend = new FsBackend({ fsync: false });
      await backend.initialize(location, { readOnly: false });
      for (const call of [
        () => backend.writeBlob(`${name}/file`, "changed"),
        () => backend.readBlob(`${name}/file`),
        () => backend.deleteBlob(`${name}/file`),
        () => backend.listBlobs(name),
      ]) {
        await expect(call()).rejects.toThrow(AccessDeniedError);
      }
      await backend.shutdown();
      expect(await readFile(join(secret, "file"), "utf8")).toBe("outside");
      expect(await readdir(secret)).toEqual(["file"]);
    },
  );

  test("a symbolic link in the place of a file is not written through", async () => {
    const { location, secret } = await outside();
    await mkdir(location);
    for (const name of [".lock", "manifest.json", "blob"]) {
      await symlink(join(secret, "file"), join(location, name));
    }
    const store = await Store.open(location).catch((error: unknown) => error);
    if (store instanceof Store) await store.close();
    const backend = new FsBackend({ fsync: false });
    await backend.initialize(location, { readOnly: false });
    await backend.writeBlob("blob", "changed").catch(() => undefined);
    await backend.shutdown();
    expect(await readFile(join(secret, "file"), "utf8")).toBe("outside");
  });

  test("the backend's own names are refused however they are spelled", async () => {
    const { location } = await outside();
    const backend = new FsBackend({ fsync: false });
    await backend.initialize(location, { readOnly: false });
    const own = [
      ".lock",
      ".LOCK",
      ".Lock",
      "．lock",
      ".tmp/x",
      ".TMP/x",
      "Manifests/0000000000000001.JSON",
    ];
    for (const path of own) {
      await expect(backend.writeBlob(path, "x"), path).rejects.toThrow(InvalidArgumentError);
    }
    await backend.shutdown();
  });

  test("files follow the umask, and a lock is its owner's alone", async () => {
    const { location } = await outside();
    const umask = process.umask(0o027);
    onTestFinished(() => void process.umask(umask));
    const store = await Store.open(location);
    await store.set("a", { n: 1 });
    const mode = async (name: string): Promise<number> =>
      (await stat(join(location, name))).mode & 0o777;
    expect(await mode(".lock")).toBe(0o600);
    await store.compact();
    for (const name of await readdir(location, { recursive: true })) {
      const bits = await mode(name);
      expect(bits & 0o027, `${name} has mode ${bits.toString(8)}`).toBe(0);
    }
    await store.close();
  });
});
