/** Bundles and builds that several test files use are made once in a run, by the first file that needs them. */
import { mkdir, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { inject } from "vitest";

const LOOK_MS = 20;
const MAKING_MS_MAX = 120_000;

/**
 * @param name of the directory, the same for the same content
 * @param make fills the directory that it is passed
 * @returns the filled directory; its users change nothing in it
 */
export async function oncePerRun(
  name: string,
  make: (directory: string) => Promise<unknown>,
): Promise<string> {
  const path = join(inject("runDirectory"), name);
  const making = `${path}.making`;
  for (const startedMs = performance.now(); ; await delay(LOOK_MS)) {
    if (await exists(path)) return path;
    if (await isFirst(making)) break;
    if (performance.now() - startedMs > MAKING_MS_MAX) throw new Error(`${name} is not made`);
  }
  // Whoever was first may have finished between the two looks.
  if (!(await exists(path))) await fill(making, path, make);
  else await rm(making, { recursive: true });
  return path;
}

async function fill(
  making: string,
  path: string,
  make: (directory: string) => Promise<unknown>,
): Promise<void> {
  try {
    await make(making);
    await rename(making, path);
  } catch (error) {
    await rm(making, { recursive: true, force: true });
    throw error;
  }
}

async function isFirst(making: string): Promise<boolean> {
  try {
    await mkdir(making);
    return true;
  } catch {
    return false;
  }
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
