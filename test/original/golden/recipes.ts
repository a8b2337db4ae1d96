/** Stores as the original opslog leaves them, made by running it. */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Store, type StoreOptions } from "@backloghq/opslog";
import { S3Backend } from "@backloghq/opslog-s3";
import { objectClient } from "./object-client.ts";
import type { Entries } from "./golden-store.ts";
import {
  KEEP_LOG,
  type Opens,
  type Task,
  writeArchives,
  writeAsAgents,
  writeBase,
  writeLog,
} from "./workloads.ts";

/** What a recipe knows better than a look at the result. */
export interface Outcome {
  /** Agents wrote it last: only an agent sees their logs. */
  readonly byAgents?: boolean;
  /** What was acknowledged, where the original shows less of it. */
  readonly records?: Entries;
  readonly damaged?: number;
}

export type DirectoryRecipe = (directory: string) => Promise<Outcome>;
export type ObjectsRecipe = (objects: Map<string, string>) => Promise<Outcome>;

export const S3_PLACE = { bucket: "golden", prefix: "store" };
/** No process has it: what a crashed writer left behind. */
const DEAD_PID = "99999999";

async function open(where: string, options: StoreOptions): Promise<Store<Task>> {
  const store = new Store<Task>();
  await store.open(where, options);
  return store;
}

export function openOnObjects(
  objects: Map<string, string>,
  options: StoreOptions,
): Promise<Store<Task>> {
  const backend = new S3Backend({ ...S3_PLACE, client: objectClient(objects) });
  return open("", { ...options, backend });
}

const directory =
  (path: string): Opens =>
  (options) =>
    open(path, options);
const objectsOf =
  (objects: Map<string, string>): Opens =>
  (options) =>
    openOnObjects(objects, options);

async function editManifest(path: string, change: (manifest: Task) => Task): Promise<void> {
  const file = join(path, "manifest.json");
  const manifest: Task = JSON.parse(await readFile(file, "utf8"));
  await writeFile(file, JSON.stringify(change(manifest), null, 2));
}

/** As early versions wrote it: all records in one object. */
async function writeLegacy(path: string, indent: number | undefined): Promise<Outcome> {
  await writeBase(directory(path));
  const reader = await open(path, { readOnly: true });
  const records = Object.fromEntries(reader.entries());
  await reader.close();
  const snapshot = { version: 1, timestamp: new Date().toISOString(), records };
  const currentSnapshot = "snapshots/snap-1700000000000.json";
  await writeFile(join(path, currentSnapshot), JSON.stringify(snapshot, null, indent));
  await editManifest(path, (manifest) => ({ ...manifest, currentSnapshot }));
  const store = await open(path, KEEP_LOG);
  await writeLog(store);
  await store.close();
  return {};
}

export const DIRECTORY_RECIPES: Readonly<Record<string, DirectoryRecipe>> = {
  "single-checkpoint": async (path) => {
    await writeBase(directory(path));
    return {};
  },

  "single-crash": async (path) => {
    await writeBase(directory(path));
    const store = await open(path, KEEP_LOG);
    await writeLog(store);
    await store.close();
    await writeFile(join(path, ".lock"), DEAD_PID);
    return {};
  },

  agents: async (path) => {
    await writeAsAgents(directory(path));
    return { byAgents: true };
  },

  "agents-compacted": async (path) => {
    await writeAsAgents(directory(path));
    const compactor = await open(path, { agentId: "Agent-B", ...KEEP_LOG });
    await compactor.compact();
    await compactor.set("after", { n: 1 });
    await compactor.close();
    const other = await open(path, { agentId: "agent-a", ...KEEP_LOG });
    await other.set("after", { n: 2 });
    await other.delete("tie");
    await other.close();
    return { byAgents: true };
  },

  // The original's later agents do not read the single writer's log any more.
  "mixed-agents-later": async (path) => {
    const single = await open(path, KEEP_LOG);
    await single.set("single", { n: 1 });
    await single.set("both", { by: "single" });
    await single.close();
    const agent = await open(path, { agentId: "agent-a", ...KEEP_LOG });
    await agent.set("both", { by: "agent-a" });
    await agent.set("agent", { n: 1 });
    await agent.close();
    const records: Entries = [
      ["agent", { n: 1 }],
      ["both", { by: "agent-a" }],
      ["single", { n: 1 }],
    ];
    return { byAgents: true, records };
  },

  // The original's agents sort what the single writer wrote before everything else.
  "mixed-single-later": async (path) => {
    const agent = await open(path, { agentId: "agent-a", ...KEEP_LOG });
    await agent.set("both", { by: "agent-a" });
    await agent.set("agent", { n: 1 });
    await agent.close();
    const single = await open(path, KEEP_LOG);
    await single.set("single", { n: 1 });
    await single.set("both", { by: "single" });
    await single.close();
    const records: Entries = [
      ["agent", { n: 1 }],
      ["both", { by: "single" }],
      ["single", { n: 1 }],
    ];
    return { byAgents: true, records };
  },

  archives: async (path) => {
    await writeArchives(directory(path));
    return {};
  },

  malformed: async (path) => {
    await writeBase(directory(path));
    const store = await open(path, KEEP_LOG);
    await writeLog(store);
    const log = join(path, store.getManifest()?.activeOps ?? "");
    await store.close();
    const lines = (await readFile(log, "utf8")).split("\n");
    const noOperation =
      '{"ts":"2026-01-15T12:00:00.000Z","op":"set","id":"","data":{},"prev":null}';
    lines.splice(2, 0, "not json", noOperation, "");
    await writeFile(log, `${lines.join("\n")}{"ts":"2026-01-15T12:0`);
    return { damaged: 1 };
  },

  "legacy-one-line": (path) => writeLegacy(path, undefined),
  "legacy-pretty": (path) => writeLegacy(path, 2),

  "odd-ids": async (path) => {
    const ids = [
      "__proto__",
      "constructor",
      "a/b",
      "../up",
      " ",
      "größe 日本語 🎈",
      "\u0000\n",
      "toString",
    ];
    const store = await open(path, {});
    for (const id of ids) await store.set(id, { id });
    await store.archive((_value, id) => id === "constructor" || id === "a/b", "2026-Q1");
    await store.close();
    const last = await open(path, KEEP_LOG);
    await last.set("__proto__", { id: "__proto__", again: true });
    await last.set("a/b", { id: "a/b", again: true });
    await last.delete("toString");
    await last.close();
    return {};
  },
};

export const OBJECTS_RECIPES: Readonly<Record<string, ObjectsRecipe>> = {
  "s3-batches": async (objects) => {
    await writeBase(objectsOf(objects));
    const crashed = await openOnObjects(objects, KEEP_LOG);
    await writeLog(crashed);
    // Its lock stays behind; who held it changes from run to run.
    const key = `${S3_PLACE.prefix}/.lock`;
    const lock: Task = JSON.parse(objects.get(key) ?? "");
    objects.set(
      key,
      JSON.stringify({
        ...lock,
        agent: `pid-${DEAD_PID}`,
        pid: Number(DEAD_PID),
        hostname: "host",
      }),
    );
    return {};
  },

  "s3-single-logs": async (objects) => {
    await writeBase(objectsOf(objects));
    const key = `${S3_PLACE.prefix}/manifest.json`;
    const manifest: Task = JSON.parse(objects.get(key) ?? "");
    const older = { ...manifest, activeOps: "ops/ops-1700000000000.jsonl" };
    objects.set(key, JSON.stringify(older, null, 2));
    const store = await openOnObjects(objects, KEEP_LOG);
    await writeLog(store);
    await store.close();
    return {};
  },

  "s3-agents-compacted": async (objects) => {
    await writeAsAgents(objectsOf(objects));
    const compactor = await openOnObjects(objects, { agentId: "agent-a", ...KEEP_LOG });
    await compactor.compact();
    await compactor.set("after", { n: 1 });
    await compactor.close();
    const other = await openOnObjects(objects, { agentId: "Agent-B", ...KEEP_LOG });
    await other.set("after", { n: 2 });
    await other.delete("tie");
    await other.close();
    return { byAgents: true };
  },

  "s3-archives": async (objects) => {
    await writeArchives(objectsOf(objects));
    return {};
  },
};
