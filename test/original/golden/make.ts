/**
 * Makes the golden stores anew: `npm run golden`, from the root of the repository. The original's
 * packages make theirs as they are installed. A format of our own, once released, is never made
 * again: its recipe stays, but a golden store that exists is left alone.
 */
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Store as OriginalStore } from "@backloghq/opslog";
import { MANIFEST_FORMAT } from "../../../src/format/manifest-codec.ts";
import { FsBackend } from "../../../src/storage/fs/fs-backend.ts";
import { MemoryBackend } from "../../../src/storage/memory-backend.ts";
import { manualRuntime } from "../../support/manual-runtime.ts";
import {
  type Entries,
  type Files,
  type Golden,
  goldenNames,
  readTree,
  sortEntries,
  writeGolden,
  writeTree,
} from "./golden-store.ts";
import { openOwn, type OwnPlace, writeLevels } from "./own-recipes.ts";
import {
  DIRECTORY_RECIPES,
  OBJECTS_RECIPES,
  openOnObjects,
  type Outcome,
  S3_PLACE,
} from "./recipes.ts";
import { withSteppingDate } from "./stepping-date.ts";

const ROOT = process.cwd();

interface Looked {
  readonly records: Entries;
  readonly archives: Golden["archives"];
}

/** What every kind of store can be asked. */
interface Readable {
  entries(): [string, unknown][];
  listArchiveSegments(): string[];
  loadArchive(period: string): Promise<Map<string, unknown>>;
  close(): Promise<void>;
}

async function look(store: Readable): Promise<Looked> {
  const archives: Record<string, Entries> = {};
  for (const name of store.listArchiveSegments().toSorted()) {
    const period = name.replace(/^archive\/archive-|\.json$/g, "");
    archives[period] = sortEntries(await store.loadArchive(period));
  }
  const records = sortEntries(store.entries());
  await store.close();
  return { records, archives };
}

const asReader = ({ byAgents }: Outcome): { agentId: string } | { readOnly: true } =>
  byAgents === true ? { agentId: "reader" } : { readOnly: true };

function toGolden(
  madeBy: string,
  layout: Golden["layout"],
  looked: Looked,
  outcome: Outcome,
): Golden {
  const { records = looked.records, damaged = 0 } = outcome;
  const differs = JSON.stringify(records) !== JSON.stringify(looked.records);
  const shown = differs ? { shownByWriter: looked.records } : {};
  return { madeBy, layout, records, ...shown, archives: looked.archives, damaged };
}

async function withDirectory<R>(work: (path: string) => Promise<R>): Promise<R> {
  const path = await mkdtemp(join(tmpdir(), "golden-"));
  try {
    return await work(path);
  } finally {
    await rm(path, { recursive: true, force: true });
  }
}

async function versionOf(name: string): Promise<string> {
  const file = await readFile(join(ROOT, "node_modules", name, "package.json"), "utf8");
  const { version }: { version: string } = JSON.parse(file);
  return `${name} ${version}`;
}

async function makeDirectory(name: string): Promise<void> {
  const recipe = DIRECTORY_RECIPES[name];
  if (recipe === undefined) throw new Error(`no recipe ${name}`);
  const { files, outcome } = await withDirectory(async (path) => {
    const made = await withSteppingDate(() => recipe(path));
    return { outcome: made, files: await readTree(path) };
  });
  const looked = await withDirectory(async (path) => {
    await writeTree(path, files);
    const store = new OriginalStore();
    await store.open(path, { ...asReader(outcome), checkpointOnClose: false });
    return look(store);
  });
  const madeBy = await versionOf("@backloghq/opslog");
  await writeGolden(ROOT, name, toGolden(madeBy, "files", looked, outcome), files);
}

async function makeObjects(name: string): Promise<void> {
  const recipe = OBJECTS_RECIPES[name];
  if (recipe === undefined) throw new Error(`no recipe ${name}`);
  const objects = new Map<string, string>();
  const outcome = await withSteppingDate(() => recipe(objects));
  const prefix = `${S3_PLACE.prefix}/`;
  const files = new Map(
    [...objects].map(([key, text]) => [key.slice(prefix.length), Buffer.from(text)]),
  );
  const options = { ...asReader(outcome), checkpointOnClose: false };
  const looked = await look(await openOnObjects(new Map(objects), options));
  const madeBy = await versionOf("@backloghq/opslog-s3");
  await writeGolden(ROOT, name, toGolden(madeBy, "objects", looked, outcome), files);
}

async function makeOwn(layout: Golden["layout"], existing: readonly string[]): Promise<void> {
  const name = `format-${MANIFEST_FORMAT}-${layout}`;
  if (existing.includes(name)) return;
  const runtime = manualRuntime(Date.UTC(2026, 0, 15));
  const { files, looked } = await withDirectory(async (path) => {
    const backend =
      layout === "files"
        ? new FsBackend({ runtime, fsync: false })
        : new MemoryBackend({ runtime });
    const place: OwnPlace = { location: path, backend, runtime };
    await writeLevels(place);
    const written = layout === "files" ? await readTree(path) : await readObjects(backend, path);
    return { files: written, looked: await look(await openOwn(place, { readOnly: true })) };
  });
  await writeGolden(ROOT, name, toGolden(`format ${MANIFEST_FORMAT}`, layout, looked, {}), files);
}

async function readObjects(backend: MemoryBackend | FsBackend, location: string): Promise<Files> {
  await backend.initialize(location, { readOnly: true });
  const files = new Map<string, Buffer>();
  for await (const { objects } of backend.list("")) {
    for (const { path } of objects) files.set(path, await backend.readBlob(path));
  }
  return files;
}

for (const name of Object.keys(DIRECTORY_RECIPES)) await makeDirectory(name);
for (const name of Object.keys(OBJECTS_RECIPES)) await makeObjects(name);
const existing = await goldenNames(ROOT);
for (const layout of ["files", "objects"] as const) await makeOwn(layout, existing);
console.log(`made: ${(await goldenNames(ROOT)).join(", ")}`);
