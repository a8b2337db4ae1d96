/** Works on a store in a process of its own and tells what that took, as a line of JSON. */
import { readFileSync } from "node:fs";
import { withStore } from "../../src/lambda/index.ts";
import { FsBackend } from "../../src/storage/fs/fs-backend.ts";
import { compact } from "../../src/compaction/compact.ts";
import { Store } from "../../src/store/store.ts";

type Found = Record<string, unknown>;

const backend = new FsBackend({ fsync: false });

const TASKS: Record<string, (location: string, id: string) => Promise<Found>> = {
  stream: async (location) => {
    await using store = await Store.open(location, { backend, readOnly: true, skipLoad: true });
    let [records, operations, descents, last] = [0, 0, 0, ""];
    for await (const [id] of store.streamSnapshot()) {
      records++;
      if (id <= last) descents++;
      last = id;
    }
    for await (const { op } of store.getWalOps()) if (op === "set") operations++;
    return { records, operations, descents };
  },
  scan: async (location) => {
    await using store = await Store.open(location, { backend, readOnly: true, skipLoad: true });
    let [records, descents, last] = [0, 0, ""];
    for await (const [id] of store.scan()) {
      records++;
      if (id <= last) descents++;
      last = id;
    }
    return { records, descents };
  },
  compact: async (location) => {
    const { outcome, records, levels } = await compact(location, { backend, full: true });
    return { outcome, records, levels };
  },
  handler: async (location, id) => {
    const handler = withStore<unknown, string>({ location, backend }, (event, _context, store) =>
      store.read(event),
    );
    const context = { awsRequestId: "one", getRemainingTimeInMillis: () => 60_000 };
    return { value: await handler(id, context) };
  },
};

/** The most that this process held. `maxRSS` would count what its parent held when it started this one. */
function peakBytes(): number {
  if (process.platform !== "linux") return process.resourceUsage().maxRSS * 1024;
  const [, kB] = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync("/proc/self/status", "utf8")) ?? [];
  return Number(kB) * 1024;
}

const [task = "", location = "", id = ""] = process.argv.slice(2);
const before = process.memoryUsage.rss();
const found = await TASKS[task]?.(location, id);
const grownBytes = peakBytes() - before;
process.stdout.write(`${JSON.stringify({ found, grownBytes })}\n`);
