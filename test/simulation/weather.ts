/** Draws what a seed's world is like: most have one kind of trouble in plenty, some a bit of all. */
import type { CatalogueLimits } from "../../src/compaction/fold.ts";
import { DEFAULT_LIMITS } from "../../src/compaction/plan.ts";
import { LANES } from "../../src/core/lane.ts";
import { type ClockKind, drawClocks } from "./clocks.ts";
import { drawCrowd } from "./crowd.ts";
import { CALM_NETWORK, type Network } from "./network.ts";
import { ENDED_KEPT_MS } from "./once-judge.ts";
import type { Prng } from "./prng.ts";
import type { DiskFaults } from "./sim-directory.ts";
import type { EtagForms } from "./sim-transport.ts";
import type { Hazards } from "./sim-process.ts";
import { FEW_LANES, SETTINGS, type ShortPasses, type Weather } from "./world.ts";

const THEMES = [
  "lossy",
  "slow",
  "ghosts",
  "ghosts",
  "zombies",
  "zombies",
  "mixed",
  "mixed",
] as const;

type Theme = (typeof THEMES)[number];

/**
 * @param extras draws what only a share of the seeds has: the others stay as they are without it
 * @param dice draws the clocks, in the same way
 * @param heldBackMs for how long priorities hold back what is due
 */
export function drawWeather(prng: Prng, extras: Prng, dice: Prng, heldBackMs = 0): Weather {
  const crowd = drawCrowd(prng);
  const theme = prng.pick(THEMES);
  const disk = prng.chance(DIRECTORIES) ? drawDisk(prng) : undefined;
  const drawnCommon = drawCommon(prng, theme, disk);
  const common = { ...drawnCommon, network: { ...drawnCommon.network, heldBackMs } };
  const rolloutMs = extras.chance(0.3) ? extras.random() * crowd.stormMs : Infinity;
  const isOriginal = extras.chance(0.15);
  const http = extras.chance(HTTP) ? drawForms(extras) : undefined;
  const handlers = extras.chance(0.25) ? crowd.stormMs / extras.between(2, 8) : Infinity;
  const gapsMs = { ...crowd.gapsMs, handlers };
  const areSettingsMixed = extras.chance(0.2);
  const shortPasses = isOriginal || !extras.chance(SHORT) ? undefined : drawShort(extras);
  const assumedBytesPerMs = shortPasses?.runBytesPerMs ?? common.limits.assumedBytesPerMs;
  const areReplaced = disk !== undefined && extras.chance(0.25);
  const replacedGapMs = areReplaced ? extras.between(1_000, 10_000) : Infinity;
  const catalogues = extras.chance(0.3) ? drawCatalogues(extras) : {};
  const isDivided = extras.chance(DIVIDED);
  const archivesInlineMax = extras.pick([0, 1, 3, 32]);
  const copied = extras.chance(COPIED) ? SMALL_PARTITIONS : {};
  if (extras.chance(CONTENDED)) gapsMs.contenders = crowd.stormMs / extras.between(2, 8);
  const lanes = extras.chance(ALL_LANES) ? LANES : FEW_LANES;
  const limits = { ...common.limits, assumedBytesPerMs, ...catalogues, ...copied };
  const shares = { archivesInlineMax, areSettingsMixed, shortPasses, replacedGapMs, isDivided };
  const others = { limits, lanes, rolloutMs, isOriginal, http, ...shares };
  const drawn = drawClocks(dice, common, crowd.stormMs);
  const weather = { ...common, ...drawn, crowd: { ...crowd, gapsMs }, ...others };
  if (drawn.clocks.kind === "anyClocks") return weather;
  gapsMs.relay = crowd.stormMs / dice.between(1, 2);
  // Dates that lie, and programs without a clock, are the simulated client's affair.
  return { ...weather, http: hasPlainDates(drawn.clocks.kind) ? http : undefined };
}

function hasPlainDates(kind: ClockKind): boolean {
  return kind !== "frontEnds" && kind !== "hourAhead" && kind !== "oldPrograms";
}

type Extras =
  | "crowd"
  | "rolloutMs"
  | "isOriginal"
  | "http"
  | "areSettingsMixed"
  | "replacedGapMs"
  | "archivesInlineMax"
  | "lanes"
  | "isDivided"
  | "shortPasses"
  | "clocks";

/** Share of the seeds in which processes contend for records. */
const CONTENDED = 0.25;

/** Share of the seeds in which purges seal all lanes of the format, not only those that ids lie in. */
const ALL_LANES = 0.05;

/** Share of the seeds in which several compactors divide the work. */
const DIVIDED = 0.2;

/** Share of the seeds whose passes end early. An upgrade of the original's store is one step. */
const SHORT = 0.25;

/** Reading a few runs takes longer than a pass; a log of a few segments is merged in it. */
function drawShort(prng: Prng): ShortPasses {
  const passMs = prng.between(1_500, 6_000);
  return { passMs, runBytesPerMs: prng.between(150, 600) / passMs };
}

/** Share of the seeds whose runs have partitions that are small enough to be copied. */
const COPIED = 0.25;
const SMALL_PARTITIONS = {
  copiedIndexBytesMin: 1,
  layout: { blockBytesMax: 300, partitionBlocksMax: 2, partitionRecordsMax: 3 },
};

/** A run takes about 500 bytes. */
function drawCatalogues(prng: Prng): CatalogueLimits {
  return {
    inlineBytesMax: prng.pick([0, 600, 1_500]),
    catalogueBytesMax: prng.pick([1, 1_100, 4_000]),
  };
}

/** Share of the object stores that are reached by `src/s3` itself: twice the work for each request. */
const HTTP = 0.2;

function drawForms(prng: Prng): EtagForms {
  const forms = ["any", "bare", "quoted"] as const;
  return { put: prng.pick(forms), read: prng.pick(forms) };
}

function drawCommon(prng: Prng, theme: Theme, disk: DiskFaults | undefined): Omit<Weather, Extras> {
  return {
    network: drawNetwork(prng, theme),
    hazards: drawHazards(prng, theme),
    disk,
    powerCutGapMs: disk !== undefined && prng.chance(0.5) ? prng.between(20_000, 80_000) : Infinity,
    isListUnordered: prng.chance(0.3),
    arePrivateLeases: prng.chance(0.6),
    digits: prng.pick([["0"], ["0", "7"], "0123456789abcdef".split("")]),
    limits: {
      ...DEFAULT_LIMITS,
      endedKeptMs: ENDED_KEPT_MS,
      logBytesMax: prng.pick([400, 1_500, 1_000_000]),
      joinBytesMax: prng.pick([0, 400, 1_000_000]),
      unitBytesMax: prng.pick([150, 600, 1_000_000]),
      runBytesMax: prng.pick([200, 600, 1_000_000]),
      portionBytesMin: prng.pick([1, 300, 10_000]),
    },
  };
}

/** Share of seeds whose store is on a directory. */
const DIRECTORIES = 0.25;

function drawDisk(prng: Prng): DiskFaults {
  const share = (most: number): number => (prng.chance(0.5) ? prng.random() * most : 0);
  return {
    latencyMsMax: prng.pick([2, 20, 200]),
    failed: share(0.01),
    noSpace: share(0.05),
    syncFailed: share(0.03),
    shortWrite: share(0.5),
  };
}

function drawNetwork(prng: Prng, theme: Theme): Network {
  /** Up to `most` under its own theme, up to a quarter of it in a mixed world. */
  const share = (own: Theme, most: number): number => {
    if (theme === own) return (0.3 + 0.7 * prng.random()) * most;
    return theme === "mixed" ? (prng.random() * most) / 4 : 0;
  };
  return {
    ...CALM_NETWORK,
    latencyMsMax: prng.pick([10, 60, 300]),
    slow: share("slow", 0.4),
    slowMsMax: prng.pick([500, 1_900, 6_000]),
    refused: share("lossy", 0.1),
    lost: share("lossy", 0.08),
    answerLost: share("lossy", 0.12),
    plainConflict: prng.random(),
    duplicated: share("ghosts", 0.8),
    duplicateMsMax: prng.pick([2_000, 90_000, 120_000, 120_000]),
    stuck: share("ghosts", 0.15),
    stuckMsMax: prng.pick([10_000, 60_000, 120_000]),
    frozenLook: share("zombies", 0.3),
    frozenLookMsMax: 4 * SETTINGS.segmentGraceMs,
    stalledList: prng.pick([0, 0.05, 0.3]),
    // Past what a segment's grace allows for.
    stalledListMsMax: prng.pick([0.5, 1.5, 2]) * SETTINGS.segmentGraceMs,
    frozenWrite: share("zombies", 0.3),
    frozenMsMax: prng.pick([10_000, 60_000, 120_000]),
  };
}

function drawHazards(prng: Prng, theme: Theme): Hazards {
  const isMixed = theme === "mixed";
  return {
    death: isMixed ? prng.random() * 0.003 : 0,
    freeze: theme === "zombies" ? 0.015 : isMixed ? prng.random() * 0.005 : 0,
    freezeMsMax: prng.pick([2_000, 30_000, 100_000]),
    clockJump: isMixed ? prng.random() * 0.02 : 0,
    clockSkewMsMax: prng.pick([0, 5_000, 3_600_000, 1_700_000_000_000]),
    steadyStops: prng.pick([0, 0, 0.5]),
    bothStop: prng.pick([0, 0, 0.3]),
  };
}

/** The same world with processes that call functions once. */
export function withCallers(weather: Weather, prng: Prng): Weather {
  const { crowd } = weather;
  const gapsMs = { ...crowd.gapsMs, callers: crowd.stormMs / prng.between(2, 6) };
  return { ...weather, crowd: { ...crowd, gapsMs } };
}
