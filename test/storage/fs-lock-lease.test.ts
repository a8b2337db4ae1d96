/** The lock of a directory where its holder's kernel cannot be asked: a lease with beats. */
import { readFile, rm, utimes, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { BY_PID, DEAD_PID, lockText, readLock } from "./lock-text.ts";
import { openFs } from "./open-fs.ts";

const TTL_MS = 300;
const ELSEWHERE = { pid: DEAD_PID, host: "elsewhere", bootId: "another boot", ttlMs: TTL_MS };

/** A lock file of a holder whose kernel cannot be asked, last heard of so long ago. */
async function foreignLock(path: string, silentMs: number, changes: object = {}): Promise<void> {
  const file = join(path, ".lock");
  await writeFile(file, await lockText({ ...ELSEWHERE, ...changes }));
  const heard = new Date(Date.now() - silentMs);
  await utimes(file, heard, heard);
}

test("a lock of another machine is respected until it was silent for its time", async () => {
  const { backend, path } = await openFs();
  await foreignLock(path, 0);
  await expect(backend.lock(".lock")).rejects.toMatchObject({
    code: "LOCKED",
    message: expect.stringMatching(/process \d+ on host elsewhere, .* Its lock ends 300 ms after/),
  });
  await foreignLock(path, TTL_MS + 100);
  await (await backend.lock(".lock")).release();
});

test.each([
  ["from before the last boot", { host: hostname() }],
  ["of another container, whose pid is one of ours", { host: hostname(), pid: process.pid }],
  ["of a kernel that has no boot id", { host: hostname(), ...BY_PID, bootId: undefined }],
])("a lock %s is one of another machine", async (_, changes) => {
  const { backend, path } = await openFs();
  await foreignLock(path, 0, changes);
  await expect(backend.lock(".lock")).rejects.toThrow("of which no process here can determine");
  await foreignLock(path, TTL_MS + 100, changes);
  await (await backend.lock(".lock")).release();
});

test("a lock of a container that shares nothing but the kernel is one of another machine", async () => {
  const { backend, path } = await openFs();
  const file = join(path, ".lock");
  const text = await lockText({
    pid: DEAD_PID,
    netSpace: "net:[1]",
    pidSpace: "pid:[1]",
    ttlMs: TTL_MS,
  });
  await writeFile(file, text);
  await expect(backend.lock(".lock")).rejects.toThrow("of which no process here can determine");
  const heard = new Date(Date.now() - TTL_MS - 100);
  await utimes(file, heard, heard);
  await (await backend.lock(".lock")).release();
});

test.each([
  ["far in the past", 86_400_000],
  ["from the future", -86_400_000],
])("a date %s takes no lock from a holder that beats, and keeps none", async (_, silentMs) => {
  const { backend, path } = await openFs();
  const file = join(path, ".lock");
  const heard = new Date(Date.now() - silentMs);
  await foreignLock(path, silentMs, { ttlMs: 3_000 });
  const text = await readFile(file, "utf8");
  const opening = backend.lock(".lock").catch((error: unknown) => error);
  // A beat, with the same wrong clock: seen by the watch, which takes a second.
  await new Promise((resolve) => setTimeout(resolve, 200));
  await writeFile(file, text.replace(/"beat":"\d*1?/, '"beat":"7'));
  await utimes(file, heard, heard);
  expect(await opening).toMatchObject({ code: "LOCKED" });
  await foreignLock(path, silentMs);
  await (await backend.lock(".lock")).release();
});

test("a holder beats, and learns within its time that its lock is another's or gone", async () => {
  const { backend, path } = await openFs(undefined, { fsync: false, lockTtlMs: TTL_MS });
  const file = join(path, ".lock");
  const held = await backend.lock(".lock");
  const first = await readFile(file, "utf8");
  await expect.poll(() => readFile(file, "utf8")).not.toBe(first);
  expect(await readLock(path)).toMatchObject({ pid: process.pid, ttlMs: TTL_MS });
  await held.confirm?.();
  const others = first.replace(/"token":"./, '"token":"_');
  await writeFile(file, others);
  await expect.poll(() => held.confirm?.().then(() => "held", String)).toContain("was lost");
  expect(await readFile(file, "utf8")).toBe(others);
  await held.release();
  expect(await readFile(file, "utf8")).toBe(others);
  await rm(file);
  const again = await backend.lock(".lock");
  await rm(file);
  await expect.poll(() => again.confirm?.().then(() => "held", String)).toContain("was lost");
  await again.release();
});

test("no holder trusts its lock for longer than others do", async () => {
  const { backend, path } = await openFs(undefined, { fsync: false, lockTtlMs: 2 ** 31 - 1 });
  const held = await backend.lock(".lock");
  expect(await readLock(path)).toMatchObject({ ttlMs: 900_000 });
  await held.release();
});
