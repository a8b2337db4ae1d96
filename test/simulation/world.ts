/** Everything of one simulation that actors share: time, store, oracle, dice, settings. */
import type { CompactionLimits } from "../../src/compaction/plan.ts";
import { WallClock } from "../../src/core/medium-clock.ts";
import type { ProtocolSettings } from "../../src/core/settings.ts";
import type { Clocks } from "./clocks.ts";
import type { Crowd } from "./crowd.ts";
import { Disk } from "./disk.ts";
import type { PlainDoc, SchemaVersion } from "./form.ts";
import { drawFounding } from "./founding.ts";
import { Kernel } from "./kernel.ts";
import { CALM_NETWORK, type Network } from "./network.ts";
import { ObjectServer, storedObject } from "./object-server.ts";
import { Oracle } from "./oracle.ts";
import type { Priorities } from "./priorities.ts";
import { Prng } from "./prng.ts";
import { CALM_DISK, type DiskFault, type DiskFaults, SimDirectory } from "./sim-directory.ts";
import { SimBackend } from "./sim-store.ts";
import { SimS3Backend } from "./sim-s3.ts";
import type { HttpFault } from "./sim-http.ts";
import type { EtagForms } from "./sim-transport.ts";
import { type Hazards, SimProcess } from "./sim-process.ts";
import { scaleDateSkew } from "../support/date-skew.ts";

/** Small, in the proportions that the protocol asks for. */
export const SETTINGS: ProtocolSettings = {
  leaseTtlMs: 12_000,
  gcGraceMs: 8_000,
  eraseAfterMs: 60_000,
  segmentGraceMs: 4_000,
  guardGraceMs: 4_000,
  tombstoneGraceMs: 30_000,
  writerLagMs: 15_000,
  writeTimeoutMs: 5_000,
  refreshEveryMs: 10_000,
};

/** Of processes that know nothing of each other: one that purges soon, one that takes its time. */
const HASTY = { ...SETTINGS, tombstoneGraceMs: 8_000, writerLagMs: 4_000 };
const PATIENT = {
  ...SETTINGS,
  tombstoneGraceMs: 240_000,
  writerLagMs: 120_000,
  refreshEveryMs: 120_000,
};

/** In lanes 0 to 3, by their tags: two of them share lane 0, two share lane 2. */
export const IDS: readonly string[] = ["a{jh}", "b{qh}", "c{jh}", "d{mp}", "e{i0}", "f{mp}"];
export const FEW_LANES = 4;

export const CALM_HAZARDS: Hazards = {
  death: 0,
  freeze: 0,
  freezeMsMax: 0,
  clockJump: 0,
  clockSkewMsMax: 0,
  steadyStops: 0,
  bothStop: 0,
};

/** The object store, or the directory, as one process sees it. */
export type SimMedium = SimBackend | SimS3Backend | SimDirectory;

/** Passes that end early, for compactors that are slow at reading runs. */
export interface ShortPasses {
  readonly passMs: number;
  readonly runBytesPerMs: number;
}

/** What a seed draws about its world. */
export interface Weather {
  readonly network: Network;
  readonly hazards: Hazards;
  /** Undefined: the store is on an object store. */
  readonly disk: DiskFaults | undefined;
  /** Mean time between two power cuts of a directory; Infinity: none. */
  readonly powerCutGapMs: number;
  /** Mean time between two log files that somebody puts a copy in the place of; Infinity: none. */
  readonly replacedGapMs: number;
  readonly isListUnordered: boolean;
  readonly arePrivateLeases: boolean;
  /** First digits of random numbers: one crowds the whole log into one shard. */
  readonly digits: readonly string[];
  readonly limits: CompactionLimits;
  /** How many archives a manifest names itself. */
  readonly archivesInlineMax: number;
  /** Those that are sealed: all, or those of the ids. */
  readonly lanes: number;
  /** What scheduled compactors have for a pass; undefined: as long as it takes. */
  readonly shortPasses: ShortPasses | undefined;
  readonly crowd: Crowd;
  /** From then on most programs that start are of schema version 2; Infinity: none is. */
  readonly rolloutMs: number;
  /** On an object store: `src/s3` itself, over simulated HTTP with a server of this kind. */
  readonly http: EtagForms | undefined;
  /** The store is one of the original opslog. */
  readonly isOriginal: boolean;
  readonly clocks: Clocks;
  /** Several compactors come at once, most of them for a part of the work. */
  readonly isDivided: boolean;
  /** Processes have different graces. */
  readonly areSettingsMixed: boolean;
}

export interface SpawnOptions {
  readonly firstHex?: string;
  readonly isClockStopped?: boolean;
}

export class World {
  readonly kernel: Kernel;
  readonly prng: Prng;
  readonly weather: Weather;
  readonly server: ObjectServer;
  readonly oracle: Oracle;
  readonly disk: Disk;
  readonly processes: SimProcess[] = [];
  /** Keys of segments that a publication holds. */
  readonly mergedKeys = new Set<string>();
  /** Draws which parts of the work compactors come for. */
  readonly divisions: Prng;
  readonly #seed: string;
  readonly #versions: Prng;
  #isCalm = false;
  #texts = 0;
  #sessions = 0;

  /** @param priorities of the processes; undefined: each event happens when it is due */
  constructor(seed: string, weather: Weather, priorities?: Priorities) {
    this.kernel = new Kernel(priorities);
    this.#seed = seed;
    this.weather = weather;
    this.prng = new Prng(`${seed} world`);
    this.#versions = new Prng(`${seed} versions`);
    this.divisions = new Prng(`${seed} divisions`);
    const laneWeight = FEW_LANES / weather.lanes;
    this.server = new ObjectServer(this.kernel, weather.crowd.pageObjectsMax, laneWeight);
    this.oracle = new Oracle(this.kernel, this.server);
    const { kernel, server, oracle } = this;
    const onFrame = (path: string, frame: Uint8Array): void => oracle.onFrame(path, frame);
    this.disk = new Disk(kernel, server, onFrame);
    oracle.counts[weather.clocks.kind]++;
    if (weather.isOriginal) this.#found();
  }

  /** No faults any more; actors come to their end. */
  get isCalm(): boolean {
    return this.#isCalm;
  }

  calm(): void {
    this.#isCalm = true;
    this.kernel.dropPriorities();
    for (const process of this.processes) process.calm(CALM_HAZARDS);
    this.kernel.trace("calm");
  }

  /** What the original left. */
  #found(): void {
    const draw = (): PlainDoc => ({ by: "original", n: ++this.#texts });
    const founding = drawFounding(new Prng(`${this.#seed} founding`), IDS, draw);
    for (const [path, text] of founding.objects) {
      this.server.place(path, storedObject(Buffer.from(text), this.server.dateMs()));
    }
    this.oracle.found(founding);
  }

  /** Programs of schema version 2 may have written. */
  get hasNewCode(): boolean {
    return this.kernel.nowMs >= this.weather.rolloutMs;
  }

  #drawSchema(): SchemaVersion {
    if (!this.hasNewCode) return 1;
    return this.#isCalm || this.#versions.chance(0.8) ? 2 : 1;
  }

  /** Time goes in rounds of busy and quiet. */
  get isBusy(): boolean {
    const { busyMs, quietMs } = this.weather.crowd;
    return this.kernel.nowMs % (busyMs + quietMs) < busyMs;
  }

  /** Half of the ids: what is deleted in one round stays so for the next, as often as not. */
  get activeIds(): readonly string[] {
    const { busyMs, quietMs } = this.weather.crowd;
    const round = Math.floor(this.kernel.nowMs / (busyMs + quietMs));
    return new Prng(`${this.#seed} round ${round}`).sample(IDS, IDS.length / 2);
  }

  spawn(role: string, options: SpawnOptions = {}): SimProcess {
    const name = `${role}${this.processes.length}`;
    const { wallErrorMs, hasSteps, steadyRate, isOld } = this.weather.clocks;
    const process = new SimProcess({
      name,
      wallErrorMs: (nowMs) => wallErrorMs(name, nowMs),
      hasSteps,
      steadyRate: steadyRate(name),
      isOld: isOld(name),
      kernel: this.kernel,
      prng: new Prng(`${this.#seed} ${name}`),
      hazards: this.#isCalm ? CALM_HAZARDS : this.weather.hazards,
      digits: this.weather.digits,
      schema: this.#drawSchema(),
      count: (what) => this.oracle.counts[what]++,
      ...options,
    });
    this.processes.push(process);
    return process;
  }

  /** What a process is set to, alone or by whoever started it. */
  settingsFor({ name }: SimProcess): ProtocolSettings {
    if (!this.weather.areSettingsMixed) return SETTINGS;
    return new Prng(`${this.#seed} ${name} settings`).pick([SETTINGS, HASTY, PATIENT]);
  }

  backendFor(process: SimProcess): SimMedium {
    const medium: SimMedium = this.#mediumFor(process, () => {
      const clock = medium.clock ?? new WallClock(process);
      // After a freeze it is not to be believed before the next answer.
      return clock.isDoubtful ? undefined : clock.estimateMs() || undefined;
    });
    return scaleDateSkew(medium, SETTINGS);
  }

  /** @param estimateMs ms since 1970 as the process would take them for a clock */
  #mediumFor(process: SimProcess, estimateMs: () => number | undefined): SimMedium {
    const { arePrivateLeases, isListUnordered, network, disk: faults } = this.weather;
    const { server, oracle, disk } = this;
    const onAttempt = (name: string, path: string, body: Uint8Array): void =>
      oracle.register.sent(oracle.ledger.attempted(name, path, body), estimateMs());
    const count = (what: HttpFault | DiskFault): void => void oracle.counts[what]++;
    const common = { process, server, onAttempt, count, arePrivateLeases, isListUnordered };
    if (faults === undefined) {
      const now = (): Network => (this.#isCalm ? CALM_NETWORK : network);
      const { http: etagForms } = this.weather;
      const { dateErrorMs } = this.weather.clocks;
      if (etagForms === undefined) return new SimBackend({ ...common, network: now, dateErrorMs });
      return new SimS3Backend({ ...common, network: now, etagForms });
    }
    return new SimDirectory({
      ...common,
      disk,
      faults: () => (this.#isCalm ? CALM_DISK : faults),
    });
  }

  /** Every process ends, and what the disk has not got is gone. */
  cutPower(): void {
    this.kernel.trace("power cut");
    for (const process of this.processes) process.kill();
    this.disk.cutPower(this.prng);
    this.oracle.powerCut();
  }

  /** As an editor, rsync or a restore does. */
  replaceLogFile(): void {
    const path = this.disk.replaceByCopy(this.prng);
    if (path === undefined) return;
    this.kernel.trace(`replaced by a copy ${path}`);
    this.oracle.counts.replacedFiles++;
  }

  /** A record that no other write carries. */
  uniqueRecord(process: SimProcess): PlainDoc {
    return { by: process.name, n: ++this.#texts };
  }

  /** Names one store of a process. */
  uniqueSession({ name }: SimProcess): string {
    return `${name}, store ${++this.#sessions}`;
  }

  /** Lets time pass until the work is done. @throws what it throws */
  async finish<T>(what: string, limitMs: number, work: Promise<T>): Promise<T | undefined> {
    let isDone = false;
    const settled = work.finally(() => {
      isDone = true;
    });
    settled.catch(() => undefined);
    await this.kernel.run(this.kernel.nowMs + limitMs, () => isDone);
    if (isDone) return settled;
    this.oracle.fail("PROGRESS", `${what} was not done within ${limitMs} ms of calm`);
    return undefined;
  }
}
