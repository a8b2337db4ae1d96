import { onTestFinished } from "vitest";
import { FsBackend } from "../../src/storage/fs/fs-backend.ts";
import type { FsBackendOptions } from "../../src/storage/fs/fs-backend.ts";
import { tempDir } from "../support/temp-dir.ts";

/** A directory for one test. */
export async function testDirectory(): Promise<string> {
  const directory = await tempDir();
  onTestFinished(() => directory[Symbol.asyncDispose]());
  return directory.path;
}

/** A writable FsBackend on `path`, or on a fresh directory. */
export async function openFs(
  path?: string,
  options: FsBackendOptions = { fsync: false },
): Promise<{ readonly backend: FsBackend; readonly path: string }> {
  const location = path ?? (await testDirectory());
  const backend = new FsBackend(options);
  await backend.initialize(location, { readOnly: false });
  onTestFinished(() => backend.shutdown());
  return { backend, path: location };
}

export async function getText(backend: FsBackend, path: string): Promise<string | undefined> {
  const found = await backend.get(path);
  return found.status === "found" ? Buffer.from(found.body).toString() : undefined;
}
