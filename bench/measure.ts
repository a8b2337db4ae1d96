/** One measurement in a process of its own: the assignment as an argument, a line of JSON as answer. */
import { appendFile, readFile } from "node:fs/promises";
import { join } from "node:path";
import { type BenchStore, openEngine } from "./engines.ts";
import { idOf, recordOf, scattered } from "./records.ts";
import type { Assignment, Figures, Task } from "./tasks.ts";

/** Held in memory while a store grows, and merged by one pass of a compaction. */
const CHUNK_BYTES = 48 * 1024 * 1024;
const BATCH_RECORDS = 5_000;
/** As the default `groupCommitSize` would flush them. */
const BATCH_OPERATIONS = 50;
const NO_CHECKPOINT = { checkpointThreshold: Number.MAX_SAFE_INTEGER, checkpointOnClose: false };

type Of<N extends Task["name"]> = Extract<Task, { name: N }>;

async function fill({ engine, location }: Assignment, task: Of<"fill">): Promise<Figures> {
  const store = await openEngine(engine, location, { checkpointThreshold: task.records + 1 });
  await setRange(store, 0, task.records, task.recordBytes);
  await store.compact();
  await store.close();
  return {};
}

async function setRange(
  store: BenchStore,
  from: number,
  to: number,
  recordBytes: number,
): Promise<void> {
  for (let start = from; start < to; start += BATCH_RECORDS) {
    await store.batch(() => {
      for (let n = start; n < Math.min(to, start + BATCH_RECORDS); n++) {
        void store.set(idOf(n), recordOf(n, recordBytes));
      }
    });
  }
}

async function update({ engine, location }: Assignment, task: Of<"update">): Promise<Figures> {
  const { updates, records, recordBytes } = task;
  const openedAt = performance.now();
  const store = await openEngine(engine, location);
  const openMs = performance.now() - openedAt;
  const writtenBefore = await bytesWritten();
  const startedAt = performance.now();
  const each: number[] = [];
  for (let at = 0; at < updates; at++) {
    const n = scattered(at, records);
    const before = performance.now();
    await store.set(idOf(n), recordOf(n, recordBytes, at + 1));
    each.push(performance.now() - before);
  }
  const totalMs = performance.now() - startedAt;
  const written = (await bytesWritten()) - writtenBefore;
  await store.close();
  each.sort((a, b) => a - b);
  return {
    openMs,
    perUpdateMs: totalMs / updates,
    medianMs: each[Math.floor(each.length / 2)] ?? 0,
    slowestMs: each.at(-1) ?? 0,
    writtenPerUpdateBytes: written / updates,
  };
}

async function write({ engine, location }: Assignment, task: Of<"write">): Promise<Figures> {
  const { writeMode, writes, recordBytes } = task;
  const store = await openEngine(engine, location, { ...NO_CHECKPOINT, writeMode });
  const startedAt = performance.now();
  for (let n = 0; n < writes; n++) await store.set(idOf(n), recordOf(n, recordBytes));
  await store.flush();
  const totalMs = performance.now() - startedAt;
  await store.close();
  return { perWriteMs: totalMs / writes, writesPerSecond: (writes * 1_000) / totalMs };
}

async function grow(assignment: Assignment, task: Of<"grow">): Promise<Figures> {
  const { engine, location } = assignment;
  const records = Math.floor(task.bytes / task.recordBytes);
  if (engine === "original") await growOriginal(assignment, records, task.recordBytes);
  else await growOurs(assignment, records, task.recordBytes);
  const store = await openEngine(engine, location, { ...NO_CHECKPOINT, skipLoad: true });
  for (let start = 0; start < task.logged; start += BATCH_OPERATIONS) {
    await store.batch(() => {
      for (let at = start; at < Math.min(task.logged, start + BATCH_OPERATIONS); at++) {
        const n = scattered(at, records);
        void store.set(idOf(n), recordOf(n, task.recordBytes, 1));
      }
    });
  }
  await store.close();
  return { records };
}

/** Piece by piece, because what a store wrote stays resident in it. */
async function growOurs(
  { engine, location }: Assignment,
  records: number,
  recordBytes: number,
): Promise<void> {
  const chunk = Math.floor(CHUNK_BYTES / recordBytes);
  for (let from = 0; from < records; from += chunk) {
    const store = await openEngine(engine, location, { ...NO_CHECKPOINT, skipLoad: true });
    await setRange(store, from, Math.min(records, from + chunk), recordBytes);
    await store.compact();
    await store.close();
  }
}

/** Its snapshot is one line a record, and its API needs all of them in memory: the file directly. */
async function growOriginal(
  { engine, location }: Assignment,
  records: number,
  recordBytes: number,
): Promise<void> {
  const store = await openEngine(engine, location);
  await store.close();
  const manifest: unknown = JSON.parse(await readFile(join(location, "manifest.json"), "utf8"));
  const { currentSnapshot } = manifest as { currentSnapshot: string };
  for (let from = 0; from < records; from += BATCH_RECORDS) {
    const count = Math.min(BATCH_RECORDS, records - from);
    const lines = Array.from({ length: count }, (_, at) => {
      return `${JSON.stringify({ id: idOf(from + at), data: recordOf(from + at, recordBytes) })}\n`;
    });
    await appendFile(join(location, currentSnapshot), lines.join(""));
  }
}

async function stream({ engine, location }: Assignment): Promise<Figures> {
  const openedAt = performance.now();
  const store = await openEngine(engine, location, { readOnly: true, skipLoad: true });
  const openMs = performance.now() - openedAt;
  const rssAtOpenBytes = process.memoryUsage.rss();
  const startedAt = performance.now();
  let [records, operations] = [0, 0];
  for await (const [id] of store.streamSnapshot()) if (id !== "") records++;
  const snapshotMs = performance.now() - startedAt;
  for await (const { id } of store.getWalOps()) if (id !== "") operations++;
  const totalMs = performance.now() - startedAt;
  await store.close();
  return {
    openMs,
    records,
    operations,
    snapshotMs,
    logMs: totalMs - snapshotMs,
    rssAtOpenBytes,
    peakRssBytes: process.resourceUsage().maxRSS * 1024,
  };
}

/** Handed to the kernel by this process, as Linux counts it; 0 elsewhere. */
async function bytesWritten(): Promise<number> {
  const io = await readFile("/proc/self/io", "utf8").catch(() => "");
  return Number(/^wchar: (\d+)/m.exec(io)?.[1] ?? 0);
}

function run(assignment: Assignment): Promise<Figures> {
  const { task } = assignment;
  switch (task.name) {
    case "fill":
      return fill(assignment, task);
    case "update":
      return update(assignment, task);
    case "write":
      return write(assignment, task);
    case "grow":
      return grow(assignment, task);
    case "stream":
      return stream(assignment);
  }
}

const assignment: Assignment = JSON.parse(process.argv[2] ?? "");
process.stdout.write(`${JSON.stringify(await run(assignment))}\n`);
