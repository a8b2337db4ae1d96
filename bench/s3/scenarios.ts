/** The measured scenarios. What stands inside `meter.section` is measured; every answer is checked. */
import { compactStore, openStore, pointReader } from "./engines.ts";
import { LOG_WRITERS } from "./fill.ts";
import type { Meter } from "./meter.ts";
import {
  expectCount,
  expectRecord,
  idOf,
  newId,
  PREFIX_RECORDS,
  prefixOf,
  recordOf,
  scattered,
  WrongAnswer,
} from "./records.ts";
import type { Assignment, Task } from "./tasks.ts";

type Of<N extends Task["name"]> = Extract<Task, { name: N }>;

const READ_MANY_IDS = 100;

/** Where what is not measured goes. */
export function directEndpoint(): string {
  const { OPSLOG_TEST_S3_ENDPOINT: endpoint } = process.env;
  if (!endpoint) throw new Error("OPSLOG_TEST_S3_ENDPOINT is not set");
  return endpoint;
}

/** The process has read nothing; then it has read another record; then it is called again. */
export async function pointRead(
  { engine, place, endpoint }: Assignment,
  meter: Meter,
  { records }: Of<"point-read">,
): Promise<void> {
  const [first = 0, second = 0, third = 0, fourth = 0] = scattered(records, 4);
  const store = await meter.section("cold", async () => {
    const opened = await openStore(engine, place, { endpoint });
    expectRecord(idOf(third), await opened.read(idOf(third)), third);
    return opened;
  });
  await meter.section("warm", async () => {
    expectRecord(idOf(first), await store.read(idOf(first)), first);
  });
  await store.close();
  const read = await pointReader(engine, place, endpoint);
  expectRecord(idOf(second), await read(idOf(second)), second);
  await meter.section("invocation", async () => {
    expectRecord(idOf(fourth), await read(idOf(fourth)), fourth);
  });
}

export async function readMany(
  { engine, place, endpoint }: Assignment,
  meter: Meter,
  { records, neighbours }: Of<"read-many">,
): Promise<void> {
  const middle = Math.floor(records / 2);
  const numbers = neighbours
    ? Array.from({ length: READ_MANY_IDS }, (_, at) => middle + at)
    : scattered(records, READ_MANY_IDS);
  await meter.section("cold", async () => {
    const store = await openStore(engine, place, { endpoint });
    const found = await store.readMany(numbers.map(idOf));
    for (const n of numbers) expectRecord(idOf(n), found.get(idOf(n)), n);
  });
}

export async function scan(
  { engine, place, endpoint }: Assignment,
  meter: Meter,
  { records }: Of<"scan">,
): Promise<void> {
  const middle = Math.floor(records / 2);
  const from = middle - (middle % PREFIX_RECORDS);
  const direct = await openStore(engine, place, { endpoint: directEndpoint() });
  const exists = direct.scan(prefixOf(from)) !== undefined;
  await direct.close();
  if (!exists) {
    await meter.notAvailable("cold", "no scan yet");
    return;
  }
  await meter.section("cold", async () => {
    const store = await openStore(engine, place, { endpoint });
    let n = from;
    for await (const [id, value] of store.scan(prefixOf(from)) ?? []) {
      if (id !== idOf(n)) throw new WrongAnswer(`scan: found ${id}, expected ${idOf(n)}`);
      expectRecord(id, value, n++);
    }
    expectCount("records scanned", n - from, PREFIX_RECORDS);
  });
}

export async function coldWrite(
  { engine, place, endpoint }: Assignment,
  meter: Meter,
): Promise<void> {
  await meter.section("cold", async () => {
    const store = await openStore(engine, place, { endpoint, agentId: "cold-writer" });
    await store.set(newId(0, 0), recordOf(0));
  });
  const reader = await openStore(engine, place, { endpoint: directEndpoint(), agentId: "reader" });
  expectRecord(newId(0, 0), await reader.read(newId(0, 0)), 0);
}

/** Each a process of its own but for the CPU: own client, own connections, nothing shared. */
export async function concurrentWriters(
  { engine, place, otherEndpoints }: Assignment,
  meter: Meter,
  { writers }: Of<"concurrent-writers">,
): Promise<void> {
  const all = Array.from({ length: writers }, (_, writer) => writer);
  await meter.section("cold", async () => {
    await Promise.all(
      all.map(async (writer) => {
        const endpoint = otherEndpoints[writer] ?? "";
        const store = await openStore(engine, place, { endpoint, agentId: `agent-${writer}` });
        await store.set(newId(writer, 0), recordOf(writer));
      }),
    );
  });
  const reader = await openStore(engine, place, { endpoint: directEndpoint(), agentId: "reader" });
  const found = await reader.readMany(all.map((writer) => newId(writer, 0)));
  const kept = all.filter((writer) => found.get(newId(writer, 0)) !== undefined);
  for (const writer of kept) expectRecord(newId(writer, 0), found.get(newId(writer, 0)), writer);
  // That the original forgets acknowledged writes here is what is found out, not a failure.
  if (engine === "ours") expectCount("acknowledged writes", kept.length, writers);
  await meter.also("cold", { lostWrites: writers - kept.length });
}

/** Opens, and reads one record out of the log. */
export async function openLog(
  { engine, place, endpoint }: Assignment,
  meter: Meter,
  { writes }: Of<"open-log">,
): Promise<void> {
  const n = Math.floor(writes / 2);
  const id = newId(n % LOG_WRITERS, n);
  await meter.section("cold", async () => {
    // As the only reader of all agents' logs the original has one that is an agent itself.
    const mode = engine === "ours" ? {} : { agentId: "log-reader" };
    const store = await openStore(engine, place, { endpoint, ...mode });
    expectRecord(id, await store.read(id), n);
  });
}

export async function openLogEager(
  { engine, place, endpoint }: Assignment,
  meter: Meter,
  { records, writes }: Of<"open-log-eager">,
): Promise<void> {
  if (engine === "original") {
    await meter.notAvailable("cold", "loads everything in any case: see the row above");
    return;
  }
  await meter.section("cold", async () => {
    const store = await openStore(engine, place, { endpoint, eager: true });
    expectCount("resident records", store.count(), records + writes);
  });
}

export async function compactLog(
  { engine, place, endpoint }: Assignment,
  meter: Meter,
  { records, writes }: Of<"compact-log">,
): Promise<void> {
  await meter.section("cold", () => compactStore(engine, place, endpoint));
  const mode = { endpoint: directEndpoint(), agentId: "checker", eager: true };
  const checker = await openStore(engine, place, mode);
  expectCount("records after the compaction", checker.count(), records + writes);
  for (let n = 0; n < writes; n++) {
    const id = newId(n % LOG_WRITERS, n);
    expectRecord(id, await checker.read(id), n);
  }
}

/** Everything is resident; another has written one record. */
export async function refresh(
  { engine, place, endpoint }: Assignment,
  meter: Meter,
): Promise<void> {
  const direct = { endpoint: directEndpoint(), agentId: "another" };
  const another = await openStore(engine, place, direct);
  const store = await openStore(engine, place, { endpoint, agentId: "reader", eager: true });
  await another.set(newId(1, 1), recordOf(1));
  await meter.section("warm", async () => {
    await store.refresh();
    expectRecord(newId(1, 1), await store.read(newId(1, 1)), 1);
  });
}
