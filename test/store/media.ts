/** The media of the store suite. */
import { randomBytes } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { type Runtime, systemRuntime } from "../../src/core/runtime.ts";
import { FsBackend } from "../../src/storage/fs/fs-backend.ts";
import { MemoryBackend } from "../../src/storage/memory-backend.ts";
import type { LiveBucket } from "../support/live-s3.ts";
import { tempDir } from "../support/temp-dir.ts";
import { hashOf, listedContents, type Medium } from "./fixture.ts";

/** Real time that can be put forward. */
function shiftedRuntime(): { readonly runtime: Runtime; shift(ms: number): Promise<void> } {
  let shiftMs = 0;
  return {
    runtime: {
      ...systemRuntime,
      nowMs: () => Date.now() + shiftMs,
      wallMs: () => systemRuntime.wallMs() + shiftMs,
      steadyMs: () => systemRuntime.steadyMs() + shiftMs,
    },
    shift: async (ms) => {
      shiftMs += ms;
      await Promise.resolve();
    },
  };
}

export async function memoryMedium(): Promise<Medium> {
  const { runtime, shift } = shiftedRuntime();
  const backend = new MemoryBackend({ runtime });
  const location = "memory";
  await backend.initialize(location, { readOnly: false });
  return {
    name: "memory",
    location,
    runtime,
    backend: () => backend,
    pass: shift,
    contents: () => listedContents(backend),
    [Symbol.asyncDispose]: () => backend.shutdown(),
  };
}

export async function directoryMedium(): Promise<Medium> {
  const { runtime, shift } = shiftedRuntime();
  const directory = await tempDir();
  const location = join(directory.path, "store");
  return {
    name: "directory",
    location,
    runtime,
    backend: () => new FsBackend({ fsync: false, runtime }),
    pass: shift,
    contents: () => treeContents(location),
    [Symbol.asyncDispose]: () => directory[Symbol.asyncDispose](),
  };
}

/** Files as they lie on the disk. */
export async function treeContents(root: string): Promise<ReadonlyMap<string, string>> {
  const found = new Map<string, string>();
  const entries = await readdir(root, { recursive: true, withFileTypes: true }).catch(() => []);
  for (const entry of entries) {
    const path = join(entry.parentPath, entry.name);
    found.set(path, entry.isFile() ? hashOf(await readFile(path)) : "directory");
  }
  return found;
}

/** A prefix of its own instead of a bucket, which takes a server seconds to make. */
export function s3Medium(live: LiveBucket): Medium {
  const location = live.location(`store/${randomBytes(8).toString("hex")}`);
  return {
    name: "s3",
    location,
    runtime: systemRuntime,
    backend: () => live.backend(),
    pass: (ms) => systemRuntime.sleep(ms),
    contents: async () => {
      const backend = live.backend();
      await backend.initialize(location, { readOnly: true });
      const found = await listedContents(backend);
      await backend.shutdown();
      return found;
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}
