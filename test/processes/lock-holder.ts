/** A single writer in a process of its own: opens, writes when it is told to, tells what came of it. */
import { createInterface } from "node:readline";
import { Worker, isMainThread, workerData } from "node:worker_threads";
import { FsBackend } from "../../src/storage/fs/fs-backend.ts";
import { Store } from "../../src/store/store.ts";

const [directory = "", ttlMs = ""] = process.argv.slice(2);

function answer(result: object): void {
  process.stdout.write(`${JSON.stringify(result)}\n`);
}

async function open(path: string): Promise<Store<number> | undefined> {
  const backend = new FsBackend({ fsync: false, lockTtlMs: Number(ttlMs) });
  try {
    return await Store.open<number>(path, { backend, checkpointOnClose: false });
  } catch (error) {
    answer(failureOf(error));
    return undefined;
  }
}

function failureOf(error: unknown): object {
  const { code, message } = error as { code?: string; message?: string };
  return { code, message };
}

async function hold(): Promise<void> {
  const store = await open(directory);
  if (store === undefined) return;
  answer({ open: process.pid });
  for await (const line of createInterface({ input: process.stdin })) {
    if (line === "close") await store.close();
    if (line === "close") return answer({ closed: true });
    const done = store.set(line, 1).then(() => ({ acknowledged: line }), failureOf);
    answer(await done);
  }
}

/** Threads: one that holds the lock and ends without closing, then this one. */
async function holdInThread(): Promise<void> {
  const worker = new Worker(new URL(import.meta.url), {
    argv: [directory, ttlMs],
    workerData: "thread",
  });
  await new Promise((resolve) => worker.once("message", resolve));
  await (await open(directory))?.close(); // tells that it is refused
  const ended = new Promise((resolve) => worker.once("exit", resolve));
  worker.on("error", () => undefined);
  // eslint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
  worker.postMessage("crash");
  await ended;
  await hold();
}

async function crashInThread(): Promise<void> {
  const { parentPort } = await import("node:worker_threads");
  await open(directory);
  parentPort?.on("message", () => {
    throw new Error("crashed");
  });
  // eslint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
  parentPort?.postMessage("open");
}

if (!isMainThread && workerData === "thread") await crashInThread();
else if (process.argv.includes("thread")) await holdInThread();
else await hold();
