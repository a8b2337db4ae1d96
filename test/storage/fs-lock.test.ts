import { Server } from "node:net";
import { hostname } from "node:os";
import { readdir, readFile, rm, stat, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, expect, test, vi } from "vitest";
import { nodeFileSystem } from "../../src/storage/fs/file-system.ts";
import { StoreDirectory } from "../../src/storage/fs/directory.ts";
import { systemRuntime } from "../../src/core/runtime.ts";
import { LOCK_TTL_MS, takeLock } from "../../src/storage/fs/lock.ts";
import { Staging } from "../../src/storage/fs/staging.ts";
import type { LinkOutcome } from "../../src/storage/fs/staging.ts";
import { bundleWorker } from "./fs-processes.ts";
import type { Workers } from "./fs-processes.ts";
import { BY_PID, DEAD_PID, lockText, readLock } from "./lock-text.ts";
import { openFs } from "./open-fs.ts";

let workers: Workers;
beforeAll(async () => {
  workers = await bundleWorker();
});

test("a lock is a private file that names its holder; release removes it", async () => {
  const { backend, path } = await openFs();
  const held = await backend.lock(".lock");
  const file = join(path, ".lock");
  expect(await readLock(path)).toMatchObject({
    pid: process.pid,
    host: hostname(),
    startedAt: expect.stringMatching(/^\d{4}-.*Z$/),
  });
  expect((await stat(file)).mode & 0o777).toBe(0o600);
  await expect(backend.lock(".lock")).rejects.toThrow(
    `Store is locked by another store of this process (${file}): close that one`,
  );
  await held.release();
  expect(await readdir(path)).toEqual([".tmp"]);
});

test("release tolerates a missing file and leaves the lock of another", async () => {
  const { backend, path } = await openFs();
  const file = join(path, ".lock");
  const first = await backend.lock(".lock");
  await rm(file);
  const second = await backend.lock(".lock");
  const content = await readFile(file, "utf8");
  await first.release();
  expect(await readFile(file, "utf8")).toBe(content);
  await rm(file);
  await second.release();
});

test("a process that is alive keeps its lock; a killed one does not", async () => {
  const { backend, path } = await openFs();
  const worker = workers.start(["lock", path]);
  expect(await worker.answer()).toEqual({ ready: true });
  worker.go();
  expect(await worker.answer()).toEqual({ locked: true });
  await expect(backend.lock(".lock")).rejects.toThrow(`locked by process ${worker.pid}.`);
  await worker.kill();
  await (await backend.lock(".lock")).release();
  expect(await readdir(join(path, ".tmp"))).toEqual([]);
});

test.each([
  ["of a reused pid", { ...BY_PID, processStart: "1" }],
  ["of a dead pid", { ...BY_PID, pid: DEAD_PID }],
  ["of a thread that ended in a process that lives", {}],
])("a lock %s is taken over", async (_, changes) => {
  const { backend, path } = await openFs();
  await writeFile(join(path, ".lock"), await lockText(changes));
  const held = await backend.lock(".lock");
  expect(await readLock(path)).toMatchObject({
    pid: process.pid,
  });
  await held.release();
});

test.each([
  ["empty", ""],
  ["garbage", '{"pid":'],
  ["garbage behind a live pid", `${process.pid} {"pid":`],
  ["other JSON", '{"pid":"twelve"}'],
  ["a dead pid in text, as the original writes it", `${DEAD_PID}\n`],
])("a lock file that holds %s is taken over", async (_, content) => {
  const { backend, path } = await openFs();
  await writeFile(join(path, ".lock"), content);
  await (await backend.lock(".lock")).release();
});

test("a live pid in text, as the original writes it, is respected", async () => {
  const { backend, path } = await openFs();
  const parent = process.ppid;
  await writeFile(join(path, ".lock"), `${parent}`);
  await expect(backend.lock(".lock")).rejects.toThrow(`locked by process ${parent}.`);
  await writeFile(join(path, ".lock"), `${process.pid}`);
  await expect(backend.lock(".lock")).rejects.toThrow("by another store of this process");
});

test("our own pid in text from before this process began is of a container before it", async () => {
  const { backend, path } = await openFs();
  const file = join(path, ".lock");
  await writeFile(file, `${process.pid}`);
  const before = new Date(Date.now() - process.uptime() * 1_000 - 60_000);
  await utimes(file, before, before);
  await (await backend.lock(".lock")).release();
});

test("a lock in the form of before, without the pid in front, is respected", async () => {
  const { backend, path } = await openFs();
  const [, json = ""] = /^\d+ (.*)$/s.exec(await lockText(BY_PID)) ?? [];
  await writeFile(join(path, ".lock"), json);
  await expect(backend.lock(".lock")).rejects.toThrow("by another store of this process");
  await writeFile(join(path, ".lock"), json.replace(`${process.pid}`, `${DEAD_PID}`));
  await (await backend.lock(".lock")).release();
});

test.each([
  ["long ago", "1970-01-01T00:00:00.000Z"],
  ["in the future", "2999-01-01T00:00:00.000Z"],
])(
  "no clock matters where the kernel tells: a lock from %s is respected while its process lives",
  async (_, startedAt) => {
    const { backend, path } = await openFs();
    await writeFile(join(path, ".lock"), await lockText({ ...BY_PID, startedAt }));
    await utimes(join(path, ".lock"), new Date(startedAt), new Date(startedAt));
    await expect(backend.lock(".lock")).rejects.toMatchObject({ code: "LOCKED" });
    await writeFile(join(path, ".lock"), await lockText({ ...BY_PID, startedAt, pid: DEAD_PID }));
    await utimes(join(path, ".lock"), new Date(startedAt), new Date(startedAt));
    await (await backend.lock(".lock")).release();
  },
);

test("of 6 processes that meet a stale lock at once exactly one gets it", async () => {
  const { path } = await openFs();
  const stale = await lockText({ ...BY_PID, pid: DEAD_PID });
  const started = Array.from({ length: 6 }, () => workers.start(["lock", path]));
  for (const worker of started) expect(await worker.answer()).toEqual({ ready: true });
  await writeFile(join(path, ".lock"), stale);
  for (const worker of started) worker.go();
  const answers = await Promise.all(started.map((worker) => worker.answer()));
  expect(answers.filter((answer) => JSON.stringify(answer) === '{"locked":true}')).toHaveLength(1);
  const refused = answers.filter((answer) => JSON.stringify(answer).includes('"LOCKED"'));
  expect(refused).toHaveLength(5);
});

/** Runs `before` the n-th link: what another process does in the meantime. */
class InterruptedStaging extends Staging {
  links = 0;
  before: (n: number, to: string) => Promise<void> = () => Promise.resolve();

  override async link(from: string, to: string): Promise<LinkOutcome> {
    await this.before(++this.links, to);
    return await super.link(from, to);
  }
}

test("a lock that was recovered by another meanwhile is not removed", async () => {
  const { backend, path } = await openFs();
  await writeFile(join(path, ".lock"), await lockText({ ...BY_PID, pid: DEAD_PID }));
  const directory = new StoreDirectory(path, {
    durable: false,
    runtime: systemRuntime,
    files: nodeFileSystem,
  });
  const staging = new InterruptedStaging(directory);
  // Just before the slow one claims the stale lock, the other recovers and takes it.
  staging.before = async (_, to) => {
    if (to.includes("claim-")) await backend.lock(".lock");
  };
  await expect(takeLock(directory, staging, ".lock", LOCK_TTL_MS)).rejects.toMatchObject({
    code: "LOCKED",
  });
  expect(staging.links).toBe(3);
  await expect(backend.lock(".lock")).rejects.toMatchObject({ code: "LOCKED" });
});

test("a claim keeps others out while its process lives, and not after", async () => {
  const { backend, path } = await openFs();
  await writeFile(join(path, ".lock"), await lockText({ ...BY_PID, pid: DEAD_PID }));
  const directory = new StoreDirectory(path, {
    durable: false,
    runtime: systemRuntime,
    files: nodeFileSystem,
  });
  const staging = new InterruptedStaging(directory);
  let claim = "";
  staging.before = async (_, to) => {
    if (!to.includes("claim-")) return;
    claim = join(path, to);
    staging.before = () => Promise.resolve();
    await writeFile(claim, await lockText(BY_PID));
  };
  await expect(takeLock(directory, staging, ".lock", LOCK_TTL_MS)).rejects.toMatchObject({
    code: "LOCKED",
  });
  expect(await readLock(path)).toMatchObject({ pid: DEAD_PID });
  await writeFile(claim, await lockText({ ...BY_PID, pid: DEAD_PID }));
  const held = await backend.lock(".lock");
  expect(await readdir(join(path, ".tmp"))).toEqual([]);
  await held.release();
});

test("only .lock can be locked", async () => {
  const { backend } = await openFs();
  await expect(backend.lock("other.lock")).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
  await expect(backend.writeBlob(".lock", "x")).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
});

test("a process that cannot accept connections continues", async () => {
  const listen = vi.spyOn(Server.prototype, "listen");
  const { backend } = await openFs();
  const held = await backend.lock(".lock");
  const server: unknown = listen.mock.contexts[0];
  listen.mockRestore();
  if (!(server instanceof Server)) throw new Error("nothing listens: this test is for Linux");
  for (let asked = 1; asked <= 3; asked++) {
    server.emit("error", Object.assign(new Error("accept EMFILE"), { code: "EMFILE" }));
  }
  await held.confirm?.();
  await held.release();
});
