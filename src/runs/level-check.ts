/** What is wrong with the levels that a manifest names, by what it says alone: for `verify`. Pure. */
import { maxOf } from "../core/bulk.ts";
import type { CorruptionError } from "../core/errors.ts";
import { corrupt, shorten } from "../format/json-line.ts";
import { levelsOf } from "../format/levels.ts";
import type { Manifest } from "../format/manifest-codec.ts";
import { MANIFEST_PATH, parseRunBase } from "../format/paths.ts";
import { piecesOf, visibleSpans } from "./visible.ts";

/** Empty when all is well. */
export function checkLevels(manifest: Manifest): CorruptionError[] {
  const found = [
    ...wrongRuns(manifest),
    ...wrongOrder(manifest),
    ...sharedIds(manifest),
    ...wrongDraining(manifest),
  ];
  return found.map((text) => corrupt(text, { path: MANIFEST_PATH, offset: 0 }));
}

function* wrongRuns({ runs, generation }: Manifest): Generator<string> {
  const paths = new Set<string>();
  const oldest = maxOf(runs.map(({ level }) => level));
  // Before there were levels no run had either.
  const areDated = runs.some(({ since }) => since !== undefined);
  for (const run of runs) {
    const { path, index, since = 0, minId, maxId, level, oldestMs } = run;
    if (paths.has(path) || paths.has(index)) yield `${path} is named twice`;
    paths.add(path).add(index);
    if (since > generation) {
      yield `${path} is named since generation ${since}, but this is generation ${generation}`;
    }
    if ((parseRunBase(path) ?? 0) >= generation) {
      yield `${path} was made on a generation that is not before ${generation}`;
    }
    if (minId > maxId) yield `${path}: ${shorten(minId)} comes after ${shorten(maxId)}`;
    else if (visibleSpans(run).length === 0) yield `${path} is named, but nothing of it counts`;
    if (areDated && level < oldest && oldestMs === undefined) {
      yield `${path} is not in the oldest level, but lacks the date of its oldest data`;
    }
  }
}

/** The oldest level first, each in id order, and no number left out. */
function* wrongOrder({ runs }: Manifest): Generator<string> {
  const numbers = [...new Set(runs.map(({ level }) => level))].toSorted((a, b) => a - b);
  const isGapless = numbers.every((level, at) => level === at);
  if (!isGapless) yield `levels must be numbered from 0, found ${numbers.join(", ")}`;
  for (const [at, run] of runs.entries()) {
    const before = runs[at - 1];
    if (before === undefined || before.level > run.level) continue;
    if (before.level === run.level && before.minId <= run.minId) continue;
    yield `${run.path} comes after ${before.path}, which is of a newer level or of higher ids`;
  }
}

/** LEVELS */
function* sharedIds(manifest: Manifest): Generator<string> {
  for (const { runs } of levelsOf(manifest)) {
    const pieces = piecesOf(runs);
    for (const [at, { run, span }] of pieces.entries()) {
      const before = pieces[at - 1];
      if (before === undefined || before.span.to <= span.from) continue;
      const both = `${before.run.path} and ${run.path}`;
      yield `record ${shorten(span.from)} may count in two runs of level ${run.level}: ${both}`;
    }
  }
}

function* wrongDraining({ runs, draining }: Manifest): Generator<string> {
  const levels = new Set(runs.map(({ level }) => level));
  for (const [at, level] of draining.entries()) {
    if (!levels.has(level)) yield `level ${level} is said to drain, but is not there`;
    if (at > 0 && (draining[at - 1] ?? 0) >= level) yield `draining levels must ascend at ${level}`;
  }
}
