/** Set up once for a run of vitest: a directory for what several test files use, see once-per-run.ts. */
import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestProject } from "vitest/node";

declare module "vitest" {
  export interface ProvidedContext {
    readonly runDirectory: string;
  }
}

export default async function provideRunDirectory(
  project: TestProject,
): Promise<() => Promise<void>> {
  const path = await mkdtemp(join(tmpdir(), "opslog-test-run-"));
  // Some tests start processes of other users.
  await chmod(path, 0o755);
  project.provide("runDirectory", path);
  return () => rm(path, { recursive: true, force: true });
}
