/**
 * A directory changes under a running writer: restored, synchronised, edited, removed. Whatever is
 * acknowledged afterwards is there for who opens the path, or the write rejects.
 */
import { cp, mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { OpslogError } from "../../src/core/errors.ts";
import type { StoreOptions } from "../../src/session/options.ts";
import { Store } from "../../src/store/store.ts";
import { tempDir } from "../support/temp-dir.ts";

const QUIET = { checkpointOnClose: false, checkpointThreshold: 1_000, onWarning: () => undefined };
const MODES: readonly (readonly [string, StoreOptions<number>])[] = [
  ["a single writer", QUIET],
  ["an agent", { ...QUIET, agentId: "a", skipLoad: true }],
  ["group commits", { ...QUIET, writeMode: "group", groupCommitMs: 1e9 }],
];

/** Every log file, by what is done with each. */
const eachLog =
  (change: (path: string) => Promise<unknown>) =>
  async (directory: string): Promise<void> => {
    const ops = join(directory, "ops");
    for (const name of await readdir(ops)) await change(join(ops, name));
  };

async function copyOver(directory: string, name = ""): Promise<void> {
  const path = join(directory, name);
  await cp(path, `${path}-copy`, { recursive: true, preserveTimestamps: true });
  await rename(path, `${directory}-away`);
  await rename(`${path}-copy`, path);
}

const CHANGES: readonly (readonly [string, (directory: string) => Promise<unknown>])[] = [
  ["removed", (directory) => rm(directory, { recursive: true })],
  [
    "removed and made anew",
    async (directory) => {
      await rm(directory, { recursive: true });
      await mkdir(directory);
    },
  ],
  ["moved away", (directory) => rename(directory, `${directory}-away`)],
  ["replaced by a copy", (directory) => copyOver(directory)],
  ["given a copy of its log", (directory) => copyOver(directory, "ops")],
  ["without its log", (directory) => rm(join(directory, "ops"), { recursive: true })],
  [
    "without its manifests",
    (directory) => rm(join(directory, "manifests"), { recursive: true, force: true }),
  ],
  [
    "with log files written anew, as an editor and sed -i do",
    eachLog(async (path) => {
      await writeFile(`${path}.tmp`, await readFile(path));
      await rename(`${path}.tmp`, path);
    }),
  ],
  [
    "with log files put back in place, as rsync --inplace does",
    eachLog(async (path) => {
      const before = await readFile(path);
      await writeFile(path, before.subarray(0, before.indexOf("\n", before.indexOf("\n") + 1) + 1));
    }),
  ],
  ["with log files emptied", eachLog((path) => writeFile(path, ""))],
];

async function attempt(work: () => Promise<unknown>): Promise<unknown> {
  try {
    await work();
    return undefined;
  } catch (error) {
    return error;
  }
}

describe.each(MODES)("%s", (_, options) => {
  test.each(CHANGES)("a directory that is %s", async (_name, change) => {
    await using base = await tempDir();
    const directory = join(base.path, "data");
    const store = await Store.open<number>(directory, options);
    for (const id of ["before", "before too"]) {
      await store.set(id, 1);
      await store.flush();
    }
    await change(directory);

    const acknowledged: string[] = [];
    for (const id of ["after 1", "after 2", "after 3"]) {
      const error = await attempt(async () => {
        await store.set(id, 1);
        await store.flush();
      });
      if (error === undefined) acknowledged.push(id);
      else expect(error).toBeInstanceOf(OpslogError);
    }
    await attempt(() => store.close());

    const found = await attempt(async () => {
      const reader = await Store.open<number>(directory, {
        ...QUIET,
        agentId: "r",
        skipLoad: true,
      });
      const there = await reader.readMany(acknowledged);
      await reader.close();
      expect([...there.keys()].toSorted()).toEqual(acknowledged);
    });
    // A store whose manifests are gone does not open, or opens without them: the log is there.
    expect(acknowledged.length === 0 ? undefined : found).toBeUndefined();
  });
});
