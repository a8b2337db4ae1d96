/** What a report tells of levels, amplification, pace and what is to come. Pure. */
import { maxOf, minOf } from "../core/bulk.ts";
import { countRuns, described } from "../format/levels.ts";
import type { Manifest } from "../format/manifest-codec.ts";
import { type CompactionLimits, runBytes } from "./plan.ts";
import type { CompactionReport, Forecast, LevelReport, PassPace } from "./report.ts";
import { rewritesOf } from "./tiers.ts";

/** What a report tells of a manifest. @param dateMs by the medium, now */
export function shapeOf(
  manifest: Manifest,
  dateMs: number,
): Pick<CompactionReport, "runs" | "levels" | "perLevel" | "retired"> {
  const all = described(manifest);
  const levels = [...new Set(all.map(({ level }) => level))].toSorted((a, b) => a - b);
  const perLevel = levels.map((level): LevelReport => {
    const held = all.filter((one) => one.level === level);
    const oldestMs = minOf(
      held.flatMap((one) => one.oldestMs ?? []),
      Infinity,
    );
    const bytes = held.map((one) => ("runs" in one ? one.visibleBytes : runBytes([one])));
    return {
      runs: held.reduce((sum, one) => sum + ("runs" in one ? one.runs : 1), 0),
      bytes: Math.round(bytes.reduce((sum, each) => sum + each, 0)),
      storedBytes: held.reduce((sum, one) => sum + one.bytes, 0),
      tombstones: held.reduce((sum, { tombstones }) => sum + tombstones, 0),
      ...(oldestMs === Infinity ? {} : { ageMs: Math.max(0, Math.round(dateMs - oldestMs)) }),
      isDraining: manifest.draining.includes(level),
    };
  });
  const { retired } = manifest;
  return {
    runs: countRuns(manifest),
    levels: perLevel.length,
    perLevel,
    retired: retired.length,
  };
}

/**
 * @param logBytes of all log that was merged
 * @param portions in which it was merged
 */
export function expectedWrites(
  { perLevel }: Pick<CompactionReport, "perLevel">,
  { logBytes, portions }: { readonly logBytes: number; readonly portions: number },
  { portionBytesMin }: Pick<CompactionLimits, "portionBytesMin">,
): number {
  if (logBytes === 0) return 0;
  const total = perLevel.reduce((sum, { bytes }) => sum + bytes, 0);
  const portion = Math.max(portionBytesMin, logBytes / Math.max(1, portions));
  return rounded(rewritesOf(Math.max(1, total / portion)));
}

type Done = Pick<
  CompactionReport,
  "segments" | "logBytes" | "lineBytes" | "durationMs" | "unitsMs"
>;

export function amplificationOf({ lineBytes, logBytes }: Done): number {
  return logBytes === 0 ? 0 : rounded(lineBytes / logBytes);
}

export function paceOf({ segments, lineBytes, durationMs, unitsMs }: Done): PassPace {
  const logMs = maxOf([1, durationMs - unitsMs]);
  return {
    segments: rounded((segments / logMs) * 1_000),
    bytes: Math.round((lineBytes / maxOf([1, durationMs])) * 1_000),
  };
}

/** @param arriving segments a second */
export function forecastOf(
  waiting: number,
  arriving: number,
  { segments: pace }: PassPace,
  outcome: CompactionReport["outcome"],
): Forecast {
  const known = { waiting, arriving: rounded(arriving) };
  if (waiting === 0) return { ...known, outlook: "done", doneInMs: 0 };
  // A pass that was cut off had all the time that there is.
  if (pace === 0 && outcome !== "stopped") return { ...known, outlook: "unknown" };
  if (arriving >= pace) return { ...known, outlook: "fallingBehind" };
  const doneInMs = Math.ceil((waiting / (pace - arriving)) * 1_000);
  return { ...known, outlook: "catchingUp", doneInMs };
}

function rounded(value: number): number {
  return Math.round(value * 10) / 10;
}
