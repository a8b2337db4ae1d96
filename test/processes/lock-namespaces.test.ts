/**
 * The single writer's lock among containers: processes with process numbers, host names and networks
 * of their own on one kernel, which share a directory. Needs root (unshare).
 */
import { spawn, spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { DEAD_PID, lockText } from "../storage/lock-text.ts";
import { tempDir } from "../support/temp-dir.ts";

const TTL_MS = 900;
/** What the README promises where the kernel tells. */
const AT_ONCE_MS = 3_000;

const canUnshare =
  spawnSync("unshare", ["-p", "-f", "--mount-proc", "-u", "-n", "true"]).status === 0;
if (!canUnshare) console.warn("skipped: these tests make namespaces, as root only");

let program = "";
const bundle = await tempDir();
beforeAll(async () => {
  program = join(bundle.path, "holder.mjs");
  await build({
    entryPoints: [fileURLToPath(new URL("lock-holder.ts", import.meta.url))],
    outfile: program,
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node20",
    logLevel: "warning",
  });
});
afterAll(() => bundle[Symbol.asyncDispose]());

interface Holder {
  answer(): Promise<Record<string, unknown>>;
  tell(line: string): Promise<Record<string, unknown>>;
  /** Reaches the process itself, not what stands around it. */
  signal(name: "SIGKILL" | "SIGSTOP" | "SIGCONT"): void;
  ended(): Promise<unknown>;
}

/** `container`: flags of unshare, and a host name; none: a process beside us. */
async function start(
  directory: string,
  container: { readonly host: string; readonly network?: boolean } | undefined,
  ...more: string[]
): Promise<Holder> {
  const node = [process.execPath, program, directory, String(TTL_MS), ...more];
  const flags = ["-p", "-f", "--mount-proc", "-u", ...(container?.network === true ? ["-n"] : [])];
  const script = `hostname ${container?.host}; exec "$@"`;
  const [command = "", ...args] =
    container === undefined
      ? node
      : ["unshare", ...flags, "--kill-child", "sh", "-c", script, "sh", ...node];
  const child = spawn(command, args, { stdio: ["pipe", "pipe", "inherit"] });
  const exited = new Promise((resolve) => child.once("exit", resolve));
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const answer = async (): Promise<Record<string, unknown>> => {
    const { value, done } = await lines.next();
    return done === true ? { ended: true } : JSON.parse(value);
  };
  const signal: Holder["signal"] = (name) => {
    const own = container === undefined ? child.pid : childOf(child.pid ?? 0);
    if (own !== undefined) process.kill(own, name);
  };
  onTestFinished(async () => {
    if (child.exitCode === null && child.signalCode === null) {
      signal("SIGCONT");
      child.kill("SIGKILL");
    }
    await exited;
  });
  return {
    answer,
    signal,
    tell: (line) => {
      child.stdin.write(`${line}\n`);
      return answer();
    },
    ended: () => exited,
  };
}

/** The one process that unshare has forked. */
function childOf(pid: number): number | undefined {
  const found = spawnSync("cat", [`/proc/${pid}/task/${pid}/children`], { encoding: "utf8" });
  const child = Number(found.stdout.trim().split(" ")[0]);
  return child > 0 ? child : undefined;
}

async function newDirectory(): Promise<string> {
  const { path, [Symbol.asyncDispose]: remove } = await tempDir();
  onTestFinished(() => remove());
  return path;
}

/** Tries again while the lock is another's. */
async function openPatiently(
  path: string,
  container: { readonly host: string; readonly network?: boolean },
): Promise<Holder> {
  for (;;) {
    const holder = await start(path, container);
    const answer = await holder.answer();
    if ("open" in answer) return holder;
    expect(answer).toMatchObject({ code: "LOCKED" });
    await holder.ended();
  }
}

describe.runIf(canUnshare)("containers that share a directory", () => {
  test.each([
    ["with the same host name", "pod", "pod"],
    ["with host names of their own", "pod-1", "pod-2"],
  ])("%s: a holder that lives is respected, one that is gone is not", async (_, one, two) => {
    const path = await newDirectory();
    const first = await start(path, { host: one });
    expect(await first.answer()).toEqual({ open: 1 });
    for (const container of [{ host: two }, undefined]) {
      const refused = await start(path, container);
      expect(await refused.answer()).toMatchObject({
        code: "LOCKED",
        message: expect.stringContaining(`process 1 of another container, host ${one}`),
      });
    }
    expect(await first.tell("a")).toEqual({ acknowledged: "a" });
    first.signal("SIGSTOP");
    expect(await (await start(path, { host: two })).answer()).toMatchObject({ code: "LOCKED" });
    first.signal("SIGCONT");
    expect(await first.tell("b")).toEqual({ acknowledged: "b" });
    first.signal("SIGKILL");
    await first.ended();
    const beganMs = performance.now();
    const second = await start(path, { host: two });
    expect(await second.answer()).toEqual({ open: 1 });
    expect(performance.now() - beganMs).toBeLessThan(AT_ONCE_MS);
    expect(await second.tell("close")).toEqual({ closed: true });
  });

  test("with networks of their own: a lock ends some time after its holder", async () => {
    const path = await newDirectory();
    const first = await start(path, { host: "one", network: true });
    expect(await first.answer()).toEqual({ open: 1 });
    const refused = await start(path, { host: "two", network: true });
    expect(await refused.answer()).toMatchObject({
      code: "LOCKED",
      message: expect.stringContaining(`ends ${TTL_MS} ms after it stops`),
    });
    first.signal("SIGKILL");
    await first.ended();
    const second = await openPatiently(path, { host: "two", network: true });
    expect(await second.tell("a")).toEqual({ acknowledged: "a" });
  });

  test("a frozen holder whose lock was taken over is refused at its next write", async () => {
    const path = await newDirectory();
    const first = await start(path, { host: "one", network: true });
    await first.answer();
    expect(await first.tell("a")).toEqual({ acknowledged: "a" });
    first.signal("SIGSTOP");
    const second = await openPatiently(path, { host: "two", network: true });
    expect(await second.tell("b")).toEqual({ acknowledged: "b" });
    first.signal("SIGCONT");
    expect(await first.tell("c")).toMatchObject({ code: "LOCKED" });
    expect(await second.tell("d")).toEqual({ acknowledged: "d" });
    expect(await second.tell("close")).toEqual({ closed: true });
  });
});

test("a holder that was frozen while nobody came continues", async () => {
  const path = await newDirectory();
  const holder = await start(path, undefined);
  await holder.answer();
  holder.signal("SIGSTOP");
  await new Promise((resolve) => setTimeout(resolve, TTL_MS));
  holder.signal("SIGCONT");
  expect(await holder.tell("a")).toEqual({ acknowledged: "a" });
});

test("a thread that crashes leaves no lock; while it lives, its process is refused", async () => {
  const path = await newDirectory();
  const holder = await start(path, undefined, "thread");
  expect(await holder.answer()).toMatchObject({
    code: "LOCKED",
    message: expect.stringContaining("another store of this process"),
  });
  expect(await holder.answer()).toEqual({ open: expect.any(Number) });
});

describe.runIf(canUnshare)("where the system has no boot id", () => {
  const HIDE = 'mount -t tmpfs none /proc/sys/kernel/random && exec "$@"';

  /** What a process there answers that opens the store. */
  async function answerOf(path: string): Promise<unknown> {
    const node = [process.execPath, program, path, String(TTL_MS)];
    const child = spawn("unshare", ["-m", "sh", "-c", HIDE, "sh", ...node], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    const exited = new Promise((resolve) => child.once("exit", resolve));
    const { value } = await createInterface({ input: child.stdout })[Symbol.asyncIterator]().next();
    child.kill("SIGKILL");
    await exited;
    return JSON.parse(value);
  }

  async function leaveLock(path: string, pid: number, silentMs: number): Promise<string> {
    const unknown = { bootId: undefined, lifeline: undefined, processStart: undefined };
    const text = await lockText({ ...unknown, pid, ttlMs: TTL_MS });
    const file = join(path, ".lock");
    await writeFile(file, text);
    const heard = new Date(Date.now() - silentMs);
    await utimes(file, heard, heard);
    return text;
  }

  test("a pid that runs again does not keep a lock for ever", async () => {
    const path = await newDirectory();
    await leaveLock(path, process.pid, 0);
    expect(await answerOf(path)).toMatchObject({ code: "LOCKED" });
    await leaveLock(path, process.pid, 2 * TTL_MS);
    expect(await answerOf(path)).toEqual({ open: expect.any(Number) });
  });

  test("a pid that is not here takes no lock from a holder that beats elsewhere", async () => {
    const path = await newDirectory();
    const text = await leaveLock(path, DEAD_PID, 0);
    let beats = 0;
    const beating = setInterval(() => {
      const beat = String(++beats).padStart(12, "0");
      writeFileSync(join(path, ".lock"), text.replace(/"beat":"\d*/, `"beat":"${beat}`));
    }, TTL_MS / 20);
    const answer = await answerOf(path).finally(() => clearInterval(beating));
    expect(answer).toMatchObject({ code: "LOCKED" });
    expect(await answerOf(path)).toEqual({ open: expect.any(Number) });
  });
});
