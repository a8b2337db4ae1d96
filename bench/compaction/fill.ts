/** Flushes straight into the log of a store, as fast as the medium takes them. */
import { CLOCKS_PER_MS } from "../../src/core/hybrid-clock.ts";
import type { LogOperation } from "../../src/core/operation.ts";
import { encodeOperation } from "../../src/format/segment.ts";
import type { LogWriter } from "../../src/log/log.ts";
import { idOf, scattered } from "../records.ts";
import { withEngine } from "./place.ts";
import { recordOf } from "./records.ts";
import type { LogTask } from "./tasks.ts";

let clock = Math.floor(Date.now() * CLOCKS_PER_MS);

async function flush(writer: LogWriter, agent: string, n: number, task: LogTask): Promise<void> {
  const { recordsPerFlush, recordBytes, records, revision } = task;
  const ts = new Date().toISOString();
  const operations: LogOperation[] = [];
  const lines: string[] = [];
  for (let at = n * recordsPerFlush; at < (n + 1) * recordsPerFlush; at++) {
    const of = scattered(at, records);
    const data = recordOf(of, recordBytes, revision);
    const operation = { ts, op: "set" as const, id: idOf(of), clock: ++clock, prev: null };
    operations.push({ ...operation, data });
    lines.push(encodeOperation(operation, JSON.stringify(data)));
  }
  await writer.write({ agent, schemaVersion: 1, operations, lines, countsUntilMs: Infinity });
}

async function fill(task: LogTask): Promise<void> {
  const { location, from, to, lanes } = task;
  let next = from;
  await withEngine(location, {}, async ({ log }) => {
    const write = async (_: unknown, lane: number): Promise<void> => {
      const agent = `loader-${process.pid}-${lane}`;
      const writer = log.createWriter(agent);
      while (next < to) await flush(writer, agent, next++, task);
      await writer.close();
    };
    await Promise.all(Array.from({ length: lanes }, write));
  });
}

await fill(JSON.parse(process.argv[2] ?? "") as LogTask);
process.stdout.write("{}\n", () => process.exit());
