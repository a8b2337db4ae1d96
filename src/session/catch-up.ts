/** The end of a refresh: what came into memory while it read is brought up to the same view. */
import type { CorruptionError } from "../core/errors.ts";
import { wins } from "../core/version.ts";
import { memoryBase, ViewLimit } from "../view/view.ts";
import { gather, type Gathered } from "../read/load-records.ts";
import { mergedNames } from "./known-log.ts";
import type { Engine } from "../engine/engine.ts";

export interface CatchUp {
  /** What was resident when the refresh began, and what was gathered of it. */
  readonly wanted: ReadonlySet<string>;
  readonly gathered: Gathered;
  /** What became so since, and what lookups under way look for. */
  readonly arrived: ReadonlySet<string>;
  readonly onCorrupt: (error: CorruptionError) => void;
  readonly settles: boolean;
}

/**
 * Gathers what arrived, and nothing twice: where that goes over to a newer view, of what was wanted
 * only what is new in it.
 * @returns both, under one view
 */
export async function catchUp(
  engine: Engine,
  { wanted, gathered: first, arrived, onCorrupt, settles }: CatchUp,
): Promise<Gathered> {
  const limit = new ViewLimit();
  let gathered = first;
  for (;;) {
    limit.begin();
    const { view } = gathered;
    const common = { base: memoryBase(view), onCorrupt };
    const late = await gather(engine, { ...common, view, wanted: arrived, merged: new Set() });
    // All of it was read again, whatever was purged.
    if (late.view.loaded.etag === view.loaded.etag)
      return join(gathered, { ...late, replaces: false });
    const merged = mergedNames(view);
    const newer = { ...common, view: late.view, wanted, merged, settles };
    gathered = join(gathered, await gather(engine, newer));
  }
}

function join(before: Gathered, newer: Gathered): Gathered {
  if (newer.replaces) return newer;
  const entries = new Map(before.entries);
  for (const [id, entry] of newer.entries) if (wins(entry, entries.get(id))) entries.set(id, entry);
  const segments = new Map([...before.segments, ...newer.segments]);
  return { view: newer.view, entries, replaces: before.replaces, segments };
}
