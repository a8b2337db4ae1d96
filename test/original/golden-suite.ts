/** What must hold for every golden store (golden/), wherever it lies. */
import { expect, onTestFinished, test } from "vitest";
import type { StorageBackend } from "../../src/storage/backend.ts";
import { compact } from "../../src/compaction/compact.ts";
import type { StoreOptions } from "../../src/session/options.ts";
import { Store } from "../../src/store/store.ts";
import { verify } from "../../src/store/verify.ts";
import {
  type Entries,
  type Files,
  type Golden,
  readGolden,
  REPOSITORY,
  sortEntries,
} from "./golden/golden-store.ts";

/** A copy of a golden store. */
export interface Copy {
  readonly location: string;
  readonly backend: () => StorageBackend;
  readonly warnings: string[];
  readonly open: (options?: StoreOptions<unknown>) => Promise<Store<unknown>>;
  readonly contents: () => Promise<ReadonlyMap<string, string>>;
}

/** Puts a copy of the files where a test may do with them what it likes. */
export type Place = (
  layout: Golden["layout"],
  files: Files,
) => Promise<Pick<Copy, "location" | "backend" | "contents">>;

async function copyOf(name: string, place: Place): Promise<Copy & { readonly golden: Golden }> {
  const { golden, files } = await readGolden(REPOSITORY, name);
  const placed = await place(golden.layout, files);
  const warnings: string[] = [];
  const open = async (options: StoreOptions<unknown> = {}): Promise<Store<unknown>> => {
    const store = new Store<unknown>();
    const onWarning = (message: string): void => void warnings.push(message);
    await store.open(placed.location, { backend: placed.backend(), onWarning, ...options });
    onTestFinished(() => store.close());
    return store;
  };
  return { ...placed, golden, warnings, open };
}

async function archivesOf(store: Store<unknown>): Promise<Golden["archives"]> {
  const archives: Record<string, Entries> = {};
  for (const name of store.listArchiveSegments()) {
    const period = name.replace(/^archive\/archive-|\.json$/g, "");
    archives[period] = sortEntries(await store.loadArchive(period));
  }
  return archives;
}

/** All that readers of every kind see. */
async function expectWhole({ open }: Copy, records: Entries, golden: Golden): Promise<void> {
  const eager = await open({ readOnly: true });
  expect(sortEntries(eager.entries())).toEqual(records);
  expect(eager.stats()).toMatchObject({
    activeRecords: records.length,
    archiveSegments: Object.keys(golden.archives).length,
  });
  expect(await archivesOf(eager)).toEqual(golden.archives);
  const lazy = await open({ readOnly: true, skipLoad: true });
  const ids = records.map(([id]) => id);
  const found = await lazy.readMany(ids.concat("absent", "task-3x"));
  expect(sortEntries(found)).toEqual(records);
  expect(await archivesOf(lazy)).toEqual(golden.archives);
  const hydrated = await open({ readOnly: true, skipLoad: true });
  await hydrated.hydrate();
  expect(sortEntries(hydrated.entries())).toEqual(records);
}

function withRecord(records: Entries, id: string, value: unknown): Entries {
  return sortEntries(new Map([...records, [id, value]]));
}

export function goldenSuite(name: string, place: Place): void {
  const setUp = (): Promise<Copy & { readonly golden: Golden }> => copyOf(name, place);

  test("readers see every record and archive, and change nothing", async () => {
    const copy = await setUp();
    const before = await copy.contents();
    await expectWhole(copy, copy.golden.records, copy.golden);
    expect(await copy.contents()).toEqual(before);
    const damage = copy.warnings.filter((warning) => warning.includes("cannot be read"));
    expect(damage.length > 0).toBe(copy.golden.damaged > 0);
  });

  test("damage is reported, or refused if the option says so", async () => {
    const { open, golden } = await setUp();
    const store = await open({ readOnly: true });
    expect(store.stats().corruptSegments).toBe(golden.damaged);
    if (golden.damaged === 0) return;
    await expect(open({ readOnly: true, onCorrupt: "throw" })).rejects.toThrow(/malformed|JSON/);
  });

  test.each([
    ["a single writer", {}],
    ["an agent", { agentId: "agent-a" }],
    ["a lazy agent", { agentId: "new one", skipLoad: true }],
  ] as const)("%s writes on, without a compaction", async (_who, options) => {
    const copy = await setUp();
    const store = await copy.open({ ...options, checkpointOnClose: false });
    await store.set("task-1", { by: "us" });
    await store.set("written here", 1);
    await store.delete("written here");
    await store.close();
    const records = withRecord(copy.golden.records, "task-1", { by: "us" });
    await expectWhole(copy, records, copy.golden);
  });

  test("undo takes back what was written here, and nothing of before", async () => {
    const copy = await setUp();
    const store = await copy.open({ checkpointOnClose: false, agentId: "undoes" });
    const [first] = copy.golden.records;
    const id = first?.[0] ?? "x";
    await store.set(id, "changed");
    expect([await store.undo(), await store.undo()]).toEqual([true, false]);
    await store.close();
    await expectWhole(copy, copy.golden.records, copy.golden);
  });

  test("a compaction brings it to today's format, with the same records", async () => {
    const copy = await setUp();
    const store = await copy.open();
    await store.compact();
    expect(sortEntries(store.entries())).toEqual(copy.golden.records);
    expect(await archivesOf(store)).toEqual(copy.golden.archives);
    await store.set("task-1", { by: "us" });
    await store.delete("task-1");
    await store.compact();
    await store.close();
    const manifest = (await readManifest(copy)).slice(0, 30);
    expect(manifest).toMatch(/^\{"format":\d+,"kind":"manifest"/);
    const records = copy.golden.records.filter(([id]) => id !== "task-1");
    await expectWhole(copy, records, copy.golden);
    const { problems } = await verify(copy.location, { backend: copy.backend() });
    if (copy.golden.damaged === 0) expect(problems).toEqual([]);
  });

  test("compact without a store does the same", async () => {
    const copy = await setUp();
    const options = { backend: copy.backend(), onWarning: () => undefined };
    await compact(copy.location, options);
    await compact(copy.location, { ...options, backend: copy.backend() });
    await expectWhole(copy, copy.golden.records, copy.golden);
    expect(await readManifest(copy)).toMatch(/^\{"format":/);
  });
}

async function readManifest({ backend, location }: Copy): Promise<string> {
  const reader = backend();
  await reader.initialize(location, { readOnly: true });
  const text = (await reader.readBlob("manifest.json")).toString();
  await reader.shutdown();
  return text;
}
