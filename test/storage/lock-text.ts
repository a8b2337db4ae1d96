/** Lock files as holders of all kinds leave them. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect } from "vitest";
import { openFs } from "./open-fs.ts";

/** Above any pid_max: no process has it. */
export const DEAD_PID = 2 ** 30;

/** A lock without a socket to ask for: its pid tells whether its process lives. */
export const BY_PID = { lifeline: undefined };

/** The content of a lock file of this process, with some fields changed. */
export async function lockText(changes: object): Promise<string> {
  const { backend, path } = await openFs();
  const held = await backend.lock(".lock");
  const fields = await readLock(path);
  await held.release();
  const changed: { pid?: unknown } = { ...fields, ...changes };
  return `${String(changed.pid)} ${JSON.stringify(changed)}\n`;
}

/** What a lock file says: the pid, then a line of JSON that holds it too. */
export async function readLock(directory: string): Promise<{ readonly pid: number }> {
  const [, pid, json] =
    /^(\d+) (\{.*\})\n$/.exec(await readFile(join(directory, ".lock"), "utf8")) ?? [];
  const fields = JSON.parse(json ?? "null");
  expect(String(fields.pid)).toBe(pid);
  return fields;
}
