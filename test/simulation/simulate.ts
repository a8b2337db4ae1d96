/** One simulation: a storm of writers, readers, compactors and faults, then calm, then the account. */
import { DEFAULT_LIMITS } from "../../src/compaction/plan.ts";
import { LOG_PREFIX, MANIFEST_PATH } from "../../src/format/paths.ts";
import { callers } from "./actors/callers.ts";
import { archiver } from "./actors/archiver.ts";
import { comingCompactors, compactorPass } from "./actors/compactor.ts";
import { handlers } from "./actors/handlers.ts";
import { follower, freshReader, gradualReader, longReader } from "./actors/reader.ts";
import { contenders } from "./actors/contenders.ts";
import { transactors } from "./actors/transactors.ts";
import { relay } from "./actors/relay.ts";
import { staleClient } from "./actors/stale.ts";
import { streamer } from "./actors/streamer.ts";
import { clonedWriters, longWriter, shortWriter, singleWriter } from "./actors/writer.ts";
import { type Comer, COMERS } from "./crowd.ts";
import { Client } from "./client.ts";
import type { ObjectServer } from "./object-server.ts";
import type { Violation } from "./oracle.ts";
import { Priorities } from "./priorities.ts";
import { Prng } from "./prng.ts";
import { SimProcess } from "./sim-process.ts";
import { drawWeather, withCallers } from "./weather.ts";
import { CALM_HAZARDS, IDS, SETTINGS, type Weather, World } from "./world.ts";

export interface SimulationResult {
  readonly seed: number;
  /** How the next event was chosen. */
  readonly schedule: string;
  /** Empty when everything held. */
  readonly violations: readonly Violation[];
  /** Hash of the whole trace. */
  readonly hash: string;
  readonly events: number;
  readonly counts: Readonly<Record<string, number>>;
  /** The last lines of the trace. */
  readonly trace: readonly string[];
}

/** What is under way may take this long to end once the faults have. */
const CALM_MS = 400_000;
const PASSES_MAX = 6;
/** Of those that end early. */
const SHORT_PASSES_MIN = 8;

/** How the next event is chosen. */
export type Schedule = "uniform" | "PCT";

export function isSchedule(text: unknown): text is Schedule {
  return text === "uniform" || text === "PCT";
}

/** One seed in so many goes by priorities; which of them is such that few pinned seeds do. */
const PCT_EVERY = 6;
const PCT_REMAINDER = 4;

/** In two of so many seeds processes call functions once: one of them goes by priorities. */
const CALLING_EVERY = 12;
const CALLING_REMAINDERS: readonly number[] = [10, 11];

/** In the same ones there are transactions, from here on: those below are pinned. */
const TRANSACTIONS_FROM = 100;

function scheduleOf(seed: number): Schedule {
  return seed % PCT_EVERY === PCT_REMAINDER ? "PCT" : "uniform";
}

/** The seeds in which there are transactions: all others stay as they are without. */
function withTransactions(seed: number, weather: Weather): Weather {
  const isOne = seed >= TRANSACTIONS_FROM && CALLING_REMAINDERS.includes(seed % CALLING_EVERY);
  if (!isOne) return weather;
  const { crowd } = weather;
  const gapMs = crowd.stormMs / new Prng(`${seed} transactions`).between(3, 9);
  return { ...weather, crowd: { ...crowd, gapsMs: { ...crowd.gapsMs, transactors: gapMs } } };
}

export async function simulate(
  seed: number,
  schedule = scheduleOf(seed),
): Promise<SimulationResult> {
  const priorities = schedule === "PCT" ? new Priorities(new Prng(`${seed} PCT`)) : undefined;
  const drawn = drawWeather(
    new Prng(`${seed} weather`),
    new Prng(`${seed} extras`),
    new Prng(`${seed} clocks`),
    priorities?.windowMs,
  );
  const isCalling = CALLING_REMAINDERS.includes(seed % CALLING_EVERY);
  const weather = isCalling ? withCallers(drawn, new Prng(`${seed} callers`)) : drawn;
  const world = new World(String(seed), withTransactions(seed, weather), priorities);
  const { kernel, oracle } = world;
  if (priorities !== undefined) oracle.counts.scheduledByPriority++;
  const clients: Client[] = [];
  const isOver = (): boolean => oracle.violations.length > 0;
  startActors(world, clients);
  await kernel.run(world.weather.crowd.stormMs, isOver);
  if (!isOver()) {
    world.calm();
    await kernel.run(kernel.nowMs + CALM_MS, isOver);
  }
  if (!isOver()) await settleAccounts(world, clients);
  if (!isOver()) checkRegister(world);
  const { violations, counts } = oracle;
  const { tail: trace, events } = kernel;
  const described = priorities?.describe() ?? "uniform";
  return { seed, schedule: described, violations, hash: kernel.digest(), events, counts, trace };
}

/** Of all that was called, per record: what the clocks promise holds (Q1 to Q8). */
function checkRegister({ oracle, weather }: World): void {
  const { findings, dragged, outrun, explained, serialized } = oracle.register.check(
    weather.clocks.promise,
  );
  oracle.counts.serialized += serialized;
  oracle.counts.dragged += dragged;
  oracle.counts.outrun += outrun;
  oracle.counts.explained += explained;
  for (const { rule, message } of findings) oracle.fail(rule, message);
}

/** What the platform does: starts invocations, restarts what died. Nothing ever happens to it. */
export function startActors(world: World, clients: Client[]): void {
  const { prng } = world;
  const platform = new SimProcess({
    name: "platform",
    kernel: world.kernel,
    prng,
    hazards: CALM_HAZARDS,
    digits: ["0"],
    isPlatform: true,
  });
  const { limits, shortPasses: short, crowd } = world.weather;
  const { powerCutGapMs, replacedGapMs } = world.weather;
  const acts: Readonly<Record<Comer, () => Promise<unknown>>> = {
    short: async () => {
      if (world.isBusy || prng.chance(0.3)) await shortWriter(world);
    },
    single: () => singleWriter(world),
    clones: () => clonedWriters(world),
    fresh: () => freshReader(world),
    gradual: () => gradualReader(world),
    follower: () => follower(world),
    stale: () => staleClient(world),
    streamer: () => streamer(world),
    handlers: () => handlers(world),
    archiver: () => archiver(world),
    compactor: () => comingCompactors(world, { full: prng.chance(0.4), limits, short }),
    rival: () => comingCompactors(world, { full: prng.chance(0.4), limits, short }),
    relay: () => relay(world),
    contenders: () => contenders(world),
    callers: () => callers(world),
    transactors: () => transactors(world),
  };
  const repeat = (gapMs: number, act: () => Promise<unknown>): void => {
    if (Number.isFinite(gapMs)) void loop(world, platform, gapMs, act);
  };
  for (const comer of COMERS) repeat(crowd.gapsMs[comer], acts[comer]);
  repeat(replacedGapMs, async () => world.replaceLogFile());
  repeat(powerCutGapMs, async () => {
    world.cutPower();
    startLongLived(world, clients);
  });
  startLongLived(world, clients);
}

function startLongLived(world: World, clients: Client[]): void {
  for (let count = world.weather.crowd.longWriters; count > 0; count--) {
    void watch(world, () => longWriter(world, clients));
  }
  for (let count = world.weather.crowd.longReaders; count > 0; count--) {
    void watch(world, () => longReader(world, clients));
  }
}

async function loop(
  world: World,
  platform: SimProcess,
  gapMs: number,
  act: () => Promise<unknown>,
): Promise<void> {
  for (;;) {
    await platform.sleep(world.prng.between(1, Math.floor(2 * gapMs)));
    if (world.isCalm) return;
    void watch(world, act);
  }
}

/** An actor that throws is a defect of the simulation or of the engine: never silence. */
async function watch(world: World, act: () => Promise<unknown>): Promise<void> {
  try {
    await act();
  } catch (error) {
    world.oracle.fail("ACTOR", error instanceof Error ? String(error.stack) : String(error));
  }
}

/** After the storm every writer makes progress, all agree, and nothing is left lying about. */
async function settleAccounts(world: World, clients: readonly Client[]): Promise<void> {
  // Programs that are too old for what was written are replaced by then.
  for (const { process } of clients) if (world.hasNewCode && process.schema === 1) process.kill();
  const fresh = await openReaders(world, "fresh");
  const alive = [...clients.filter(({ process }) => process.isAlive), ...fresh];
  for (const client of alive.filter(({ isReadOnly }) => !isReadOnly)) {
    await world.finish(`progress of ${client.process.name}`, 60_000, makeProgress(world, client));
  }
  await compactInTime(world);
  await compactAll(world);
  const readers = await openReaders(world, "last");
  const { changes } = world.server;
  for (const client of [...alive, ...readers]) {
    await world.finish("the last look", 60_000, client.refresh());
    const seen = await world.finish("the last look", 60_000, client.check());
    if (seen === undefined) world.oracle.fail("PROGRESS", `${client.process.name} sees nothing`);
    await world.finish("the last look", 60_000, client.checkArchives());
  }
  if (world.server.changes !== changes) world.oracle.fail("QUIET", "reading changed the store");
}

async function makeProgress(world: World, client: Client): Promise<void> {
  const { prng } = client.process;
  // A writer that slept through the storm hears from its first write that it must look again.
  for (let attempt = 1; attempt <= 2; attempt++) {
    const record = world.uniqueRecord(client.process);
    if (await client.write([{ id: prng.pick(IDS), record }])) return;
  }
  world.oracle.fail("PROGRESS", `${client.process.name} cannot write although all is calm`);
}

async function openReaders(world: World, role: string): Promise<Client[]> {
  const readers: Client[] = [];
  for (const skipLoad of [false, true]) {
    const process = world.spawn(role);
    const opening = Client.open(world, process, { agentId: role, skipLoad });
    const client = await world.finish(`opening the ${role} reader`, 60_000, opening);
    if (client !== undefined) readers.push(client);
  }
  return readers;
}

/** However long merges of runs would take: passes that are too short for them merge the log. */
async function compactInTime(world: World): Promise<void> {
  const { kernel, oracle, server, weather } = world;
  const { limits, shortPasses: short } = weather;
  if (short === undefined) return;
  const log = [...server.objects.keys()].filter((path) => isFilledLog(server, path));
  const left = (): string[] => log.filter((path) => server.objects.has(path));
  const { gcGraceMs, leaseTtlMs } = SETTINGS;
  let passes = 0;
  // A portion a pass is progress; what was merged is deleted by a later pass.
  for (; passes < SHORT_PASSES_MIN + log.length && left().length > 0; passes++) {
    await kernel.run(kernel.nowMs + gcGraceMs + leaseTtlMs);
    const work = compactorPass(world, { full: world.prng.chance(0.4), limits, short });
    await world.finish("a short compaction", 60_000, work);
  }
  if (left().length === 0) return;
  const what = `${left().length} of ${log.length} log objects are left`;
  oracle.fail("PROGRESS", `${what} after ${passes} passes of ${short.passMs} ms each`);
}

async function compactAll(world: World): Promise<void> {
  const { kernel, oracle, server } = world;
  for (let pass = 1; pass <= PASSES_MAX; pass++) {
    await kernel.run(kernel.nowMs + SETTINGS.gcGraceMs + SETTINGS.leaseTtlMs + 2_000);
    const work = compactorPass(world, { full: pass === 1, limits: DEFAULT_LIMITS });
    const report = await world.finish("the last compaction", 60_000, work);
    if (report?.outcome === "idle") break;
  }
  const { catalogues, listedArchives } = oracle.truth.manifest();
  const runs = oracle.truth.runs();
  const described = [...catalogues, ...oracle.truth.archives(), ...listedArchives.lists];
  const kept = [
    ...runs.flatMap(({ path, index }) => [path, index]),
    ...described.map(({ path }) => path),
  ];
  const needed = new Set([MANIFEST_PATH, ...kept]);
  const left = [...server.objects.keys()].filter(
    (path) => !needed.has(path) && !path.includes(".lease") && !isEmptyLog(server, path),
  );
  if (left.length > 0) oracle.fail("GARBAGE", `${left.length} objects are left: ${left.join(" ")}`);
  const levels = new Set(runs.map(({ level }) => level)).size;
  if (levels > 1) oracle.fail("GARBAGE", `${levels} levels are left after a full merge`);
}

function isFilledLog({ objects }: ObjectServer, path: string): boolean {
  return path.startsWith(LOG_PREFIX) && (objects.get(path)?.body.length ?? 0) > 0;
}

/** One that its owner may be about to append to: it stays for an hour. */
function isEmptyLog({ objects }: ObjectServer, path: string): boolean {
  return path.startsWith(LOG_PREFIX) && objects.get(path)?.body.length === 0;
}

/** What a failed seed says: enough to run it again and to see how it came about. */
export function describeFailure({ seed, schedule, violations, trace }: SimulationResult): string {
  const [first] = violations;
  if (first === undefined) return "";
  const again = `npm run simulate -- --seeds 1 --seed ${seed}`;
  const says = `seed ${seed} (${schedule}): ${first.rule}: ${first.message}`;
  return [says, ...trace.slice(-60), again].join("\n");
}
