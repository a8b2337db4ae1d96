/** Stores of the original opslog, made by running it or object by object. */
import { cp, mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { Store as OriginalStore } from "@backloghq/opslog";
import { expect, onTestFinished } from "vitest";
import { DEFAULT_LIMITS } from "../../src/compaction/plan.ts";
import type { CompactionReport, CompactorParts } from "../../src/compaction/report.ts";
import { DEFAULT_SETTINGS } from "../../src/core/settings.ts";
import { decodeManifest, type Manifest } from "../../src/format/manifest-codec.ts";
import { createEngine } from "../../src/engine/engine.ts";
import type { StorageBackend } from "../../src/storage/backend.ts";
import { compact } from "../../src/compaction/compact.ts";
import { type Fixture, type MakeMedium, type Medium, setUp } from "../store/fixture.ts";
import { tempDir } from "../support/temp-dir.ts";

export type Fields = Record<string, unknown>;
export type OriginalOptions = NonNullable<Parameters<OriginalStore["open"]>[1]>;
/** Objects by path, as text. */
export type Objects = Readonly<Record<string, string>>;

export const TS = "2026-01-02T03:04:05.678Z";

/** A directory of a test's own. */
export async function directory(): Promise<string> {
  const dir = await tempDir();
  onTestFinished(() => dir[Symbol.asyncDispose]());
  return join(dir.path, "store");
}

export async function openOriginal(
  path: string,
  options: OriginalOptions = {},
): Promise<OriginalStore> {
  const store = new OriginalStore();
  try {
    await store.open(path, options);
  } catch (error) {
    await closeLeakedLock(store);
    throw error;
  }
  return store;
}

/** The original leaves its lock file open when it fails after taking it. */
async function closeLeakedLock(store: OriginalStore): Promise<void> {
  const lock: unknown = Reflect.get(store, "lockHandle");
  if (typeof lock !== "object" || lock === null) return;
  const file: unknown = Reflect.get(lock, "fh");
  if (typeof file === "object" && file !== null && "close" in file) {
    if (typeof file.close === "function") await file.close();
  }
}

/** What the original sees; changes nothing but an agent's registration. */
export async function originalEntries(path: string, agentId?: string): Promise<[string, Fields][]> {
  const mode = agentId === undefined ? { readOnly: true } : { agentId };
  const store = await openOriginal(path, { ...mode, checkpointOnClose: false });
  const entries = store.entries();
  await store.close();
  return entries;
}

/** A store of the original with a snapshot, a log on top of it, and an archive. */
export async function writeTypical(path: string): Promise<Map<string, Fields>> {
  const first = await openOriginal(path);
  for (let n = 0; n < 20; n++) await first.set(`r${n}`, { n, text: `record ${n} of the original` });
  await first.archive((record) => record["n"] === 7, "2025-Q3");
  await first.close();
  const second = await openOriginal(path, { checkpointOnClose: false });
  await second.set("r1", { n: 1, text: "record 1 of the original", changed: true });
  await second.delete("r2");
  await second.batch(() => {
    void second.set("new", { n: 100 });
    void second.set("r3", { n: 3 });
  });
  await second.close();
  return new Map(await originalEntries(path));
}

/** A store of two agents of the original. */
export async function writeAgents(path: string): Promise<Map<string, Fields>> {
  const a = await openOriginal(path, { agentId: "agent-A", checkpointOnClose: false });
  await a.set("base", { by: "A" });
  await a.compact();
  const b = await openOriginal(path, { agentId: "B b", checkpointOnClose: false });
  await a.set("shared", { by: "A" });
  await b.refresh();
  await b.set("shared", { by: "B" });
  await b.set("own", { by: "B" });
  await a.refresh();
  await a.set("own", { by: "A" });
  await a.delete("base");
  await Promise.all([a.close(), b.close()]);
  return new Map(await originalEntries(path, "agent-A"));
}

/** Copies a directory that the original wrote to where a medium keeps its store. */
export async function copyInto(medium: Medium, path: string): Promise<void> {
  if (medium.name === "directory") {
    await cp(path, medium.location, { recursive: true });
    return;
  }
  const names = await readdir(path, { recursive: true, withFileTypes: true });
  const files: Record<string, string> = {};
  for (const entry of names.filter((one) => one.isFile())) {
    const file = join(entry.parentPath, entry.name);
    files[file.slice(path.length + 1)] = await readFile(file, "utf8");
  }
  await writeObjects(medium, files);
}

/** On a directory as plain files, as the original writes them: beside whatever ours keeps there. */
export async function writeObjects(medium: Medium, objects: Objects): Promise<void> {
  if (medium.name === "directory") {
    for (const [path, text] of Object.entries(objects)) {
      const file = join(medium.location, path);
      await mkdir(dirname(file), { recursive: true });
      await writeFile(file, text);
    }
    return;
  }
  await withBackend(medium, async (backend) => {
    for (const [path, text] of Object.entries(objects)) await backend.writeBlob(path, text);
  });
}

export async function withBackend<R>(
  medium: Medium,
  work: (backend: StorageBackend) => Promise<R>,
): Promise<R> {
  const backend = medium.backend();
  await backend.initialize(medium.location, { readOnly: false });
  try {
    return await work(backend);
  } finally {
    await backend.shutdown();
  }
}

export async function setUpOriginal(
  make: MakeMedium,
  write: (path: string) => Promise<Map<string, Fields>> = writeTypical,
): Promise<Fixture & { readonly expected: Map<string, Fields> }> {
  const path = await directory();
  const expected = await write(path);
  const fixture = await setUp(make);
  await copyInto(fixture.medium, path);
  return { ...fixture, expected };
}

/** A store made by hand: a manifest, and whatever it names. */
export async function setUpObjects(
  make: MakeMedium,
  objects: Objects,
  manifest: Fields = {},
): Promise<Fixture> {
  const fixture = await setUp(make);
  await writeObjects(fixture.medium, { ...objects, "manifest.json": manifestText(manifest) });
  return fixture;
}

export const SNAPSHOT = "snapshots/snap-1.jsonl";
export const LOG = "ops/ops-1.jsonl";

export function manifestText(changes: Fields = {}): string {
  const stats = {
    activeRecords: 0,
    archivedRecords: 0,
    opsCount: 0,
    created: "2025-01-01T00:00:00.000Z",
    lastCheckpoint: "2025-02-01T00:00:00.000Z",
  };
  const manifest = { version: 1, currentSnapshot: SNAPSHOT, activeOps: LOG, archiveSegments: [] };
  return JSON.stringify({ ...manifest, stats, ...changes }, null, 2);
}

export function snapshotText(records: Iterable<readonly [string, unknown]>, version = 1): string {
  return lines([{ version, timestamp: TS }, ...[...records].map(([id, data]) => ({ id, data }))]);
}

export function lines(values: readonly unknown[]): string {
  return values.map((value) => `${JSON.stringify(value)}\n`).join("");
}

export function set(id: string, data: unknown, more: Fields = {}): Fields {
  return { ts: TS, op: "set", id, prev: null, data, ...more };
}

export function runCompaction(
  medium: Medium,
  options: Parameters<typeof compact>[1] = {},
): Promise<CompactionReport> {
  return compact(medium.location, {
    backend: medium.backend(),
    onWarning: () => undefined,
    ...options,
  });
}

/** Names of the objects of the original in ops/ and snapshots/. */
export async function originalObjects({ objects }: Fixture): Promise<string[]> {
  const found = [...(await objects("ops/")).keys(), ...(await objects("snapshots/")).keys()];
  return found
    .filter((path) =>
      /^(ops\/(ops|wal|agent-.*)-\d+(\/batch-.*)?\.jsonl|snapshots\/snap-\d+\.jsonl?)$/.test(path),
    )
    .toSorted();
}

export async function manifestOf({ medium }: Fixture): Promise<Manifest> {
  return withBackend(medium, async (backend) =>
    decodeManifest(await backend.readBlob("manifest.json"), "manifest.json"),
  );
}

/** What a compaction works with, of its own. */
export async function withParts<R>(
  { medium }: Fixture,
  work: (engine: CompactorParts) => Promise<R>,
): Promise<R> {
  const { location, runtime } = medium;
  return withBackend(medium, (backend) => {
    const onWarning = (message: string): void => expect.unreachable(message);
    const schema = { version: 1, migrate: undefined };
    const given = { backend, location, runtime, settings: DEFAULT_SETTINGS, onWarning, schema };
    return work({ ...createEngine(given), limits: DEFAULT_LIMITS });
  });
}

/** After a grace period, counted by dates that may be whole seconds. */
export async function compactAfterGrace({ medium }: Fixture): Promise<CompactionReport> {
  await medium.pass(2_500);
  return runCompaction(medium, { gcGraceMs: 1_000 });
}
