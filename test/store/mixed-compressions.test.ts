/** Runs of every compression in one store: who compacts need not agree, and who reads reads all. */
import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { type Compression, findZstd } from "../../src/core/compression.ts";
import { NotSupportedError } from "../../src/core/errors.ts";
import { MANIFEST_PATH } from "../../src/format/paths.ts";
import { decodeManifest } from "../../src/format/manifest-codec.ts";
import { createCompactor } from "../../src/lambda/index.ts";
import { compact } from "../../src/compaction/compact.ts";
import { Store } from "../../src/store/store.ts";
import { verify } from "../../src/store/verify.ts";
import { streamSnapshotFile } from "../../src/legacy/api/stream-snapshot-file.ts";
import { FsBackend } from "../../src/storage/fs/fs-backend.ts";
import { MemoryBackend } from "../../src/storage/memory-backend.ts";
import { tempDir } from "../support/temp-dir.ts";

const COMPRESSIONS: readonly Compression[] =
  findZstd().zstdCompressSync === undefined ? ["none", "deflate"] : ["none", "deflate", "zstd"];

const textOf = (n: number): string => `${n} é `.repeat(40);

/** The compressions that the headers of the current runs name. */
async function headersOf(backend: MemoryBackend): Promise<string[]> {
  const { runs } = decodeManifest(await backend.readBlob(MANIFEST_PATH), MANIFEST_PATH);
  const named: string[] = [];
  for (const { path } of runs) {
    const bytes = await backend.readBlob(path);
    const header: { compression?: string } = JSON.parse(bytes.toString().split("\n")[0] ?? "");
    named.push(header.compression ?? "none");
  }
  return named.toSorted();
}

test("runs of each compression are read, merged and verified together", async () => {
  const backend = new MemoryBackend();
  const model = new Map<string, string>();
  // Of so different sizes that no level is merged into an older one.
  const counts = [26_000, 4_000, 150];
  for (const [at, compression] of COMPRESSIONS.entries()) {
    const count = counts[at] ?? 0;
    const options = { backend, agentId: compression, compression, skipLoad: true } as const;
    await using store = await Store.open<string>("s", options);
    await store.batch(() => {
      for (let n = 0; n < count; n++) {
        const id = `r${n * 7 + model.size}`;
        model.set(id, textOf(n));
        void store.set(id, textOf(n));
      }
    });
    await store.compact();
  }
  const names = { none: "none", deflate: "deflate-raw", zstd: "zstd" };
  expect(await headersOf(backend)).toEqual(COMPRESSIONS.map((each) => names[each]).toSorted());
  const expectAll = async (): Promise<void> => {
    await using eager = await Store.open<string>("s", { backend, readOnly: true });
    expect(new Map(eager.entries())).toEqual(model);
    await using lazy = await Store.open<string>("s", { backend, readOnly: true, skipLoad: true });
    for (const id of ["r0", "r7", [...model.keys()].at(-1) ?? ""]) {
      expect(await lazy.read(id)).toBe(model.get(id));
    }
    const scanned: [string, string][] = [];
    for await (const entry of lazy.scan({ reverse: true })) scanned.push(entry);
    expect(new Map(scanned)).toEqual(model);
    expect(scanned.map(([id]) => id)).toEqual([...model.keys()].toSorted().reverse());
    expect(await verify("s", { backend })).toMatchObject({ problems: [] });
  };
  await expectAll();
  for (const compression of COMPRESSIONS.toReversed()) {
    {
      await using store = await Store.open<string>("s", { backend, agentId: "w", skipLoad: true });
      await store.set("later", compression);
      model.set("later", compression);
    }
    const handler = createCompactor({
      location: "s",
      backend,
      compression,
      full: true,
      log: () => {},
      metrics: false,
    });
    await handler({}, { awsRequestId: "1", getRemainingTimeInMillis: () => 60_000 });
    expect(await headersOf(backend)).toEqual([names[compression]]);
    await expectAll();
  }
});

test.runIf(findZstd().zstdCompressSync === undefined)(
  "without zstd, nothing is written",
  async () => {
    const backend = new MemoryBackend();
    const options = { backend, compression: "zstd" } as const;
    for (const refused of [
      Store.open("s", { ...options, agentId: "a" }),
      compact("s", options),
      createCompactor({ ...options, location: "s", log: () => {}, metrics: false })(
        {},
        { awsRequestId: "1", getRemainingTimeInMillis: () => 60_000 },
      ),
    ]) {
      await expect(refused).rejects.toThrow(NotSupportedError);
      await expect(refused).rejects.toThrow("Node 22.15 and later");
    }
    await backend.initialize("s", { readOnly: true });
    for await (const { objects } of backend.list("")) expect(objects).toEqual([]);
  },
);

test.each(COMPRESSIONS)(
  "a snapshot file of a run (%s) is streamed, also without its index",
  async (compression) => {
    await using directory = await tempDir();
    const model = Array.from({ length: 500 }, (_, n) => [
      `r${String(n).padStart(4, "0")}`,
      textOf(n),
    ]);
    const backend = new FsBackend({ fsync: false });
    const store = await Store.open<unknown>(directory.path, { backend, compression });
    await store.batch(() => {
      for (const [id = "", text] of model) void store.set(id, text);
    });
    await store.compact();
    await store.close();
    const names = await readdir(join(directory.path, "snapshots"));
    const named = (ending: string): string => names.find((name) => name.endsWith(ending)) ?? "";
    const streamed = async (): Promise<unknown[]> => {
      const entries: unknown[] = [];
      const path = `snapshots/${named(".jsonl")}`;
      for await (const entry of streamSnapshotFile<unknown>(directory.path, path))
        entries.push(entry);
      return entries;
    };
    expect(await streamed()).toEqual(model);
    await rm(join(directory.path, "snapshots", named(".index")));
    expect(await streamed()).toEqual(model);
  },
);
