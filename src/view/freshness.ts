/**
 * How fresh an answer must be, and the looks that stores over one backend share: a store may open
 * on what the process saw a moment ago.
 */
import { describeValue } from "../core/describe.ts";
import { InvalidArgumentError } from "../core/errors.ts";
import { isRecent, type Moment, momentOf } from "../core/medium-clock.ts";
import { makeView, NOT_LISTED, renewView, type View, viewOf } from "./view.ts";
import type { Runtime } from "../core/runtime.ts";
import type { ProtocolSettings } from "../core/settings.ts";
import type { Log } from "../log/log.ts";
import type { LoadedManifest, ManifestStore } from "./manifest-store.ts";

/**
 * "strong": sees every write acknowledged before it looks; one LIST. `{ maxStaleMs }`: sees every
 * write acknowledged at least that long ago; no request while the last look is younger by the clocks of the
 * process, which may both stand still while it is frozen. "snapshot": the last compacted state, up to
 * `refreshEveryMs` old; never a LIST.
 */
export type Freshness = "strong" | "snapshot" | { readonly maxStaleMs: number };

/** When the looks began that a view is made of: for freshness, never for safety. */
export interface LookTimes {
  readonly manifestAt: Moment;
  /** Undefined: the log was not listed. */
  readonly listedAt: Moment | undefined;
}

/** What a look found. */
export interface TimedView extends LookTimes {
  readonly view: View;
}

/** The last looks over a backend, of whatever store. */
export interface WarmLooks {
  whole: TimedView | undefined;
  snapshot: TimedView | undefined;
}

/** A longer listing is not kept for others: it should be compacted first. */
const SHARED_SEGMENTS_MAX = 20_000;

interface LookParts {
  readonly manifests: ManifestStore;
  readonly log: Log;
  readonly runtime: Runtime;
  readonly settings: ProtocolSettings;
  readonly warmLooks: WarmLooks;
}

/** What a store opens on: another's look where that is fresh enough, else one of its own. */
export async function openLook(parts: LookParts, freshness: Freshness): Promise<TimedView> {
  const { warmLooks, runtime, settings } = parts;
  const now = momentOf(runtime);
  if (freshness === "strong") return lookWhole(parts);
  if (freshness === "snapshot") {
    const { snapshot } = warmLooks;
    const isYoung = isRecent(snapshot?.manifestAt, now, settings.refreshEveryMs);
    return snapshot !== undefined && isYoung ? snapshot : lookAtManifest(parts);
  }
  const { whole } = warmLooks;
  const isYoung = isRecent(whole?.listedAt, now, freshness.maxStaleMs);
  return whole !== undefined && isYoung ? whole : lookWhole(parts);
}

/** Manifest and listing. @param known what this store saw before */
export async function lookWhole(parts: LookParts, known?: View): Promise<TimedView> {
  const { manifests, log, runtime, warmLooks } = parts;
  const began = momentOf(runtime);
  const view = await makeView(manifests, log, known);
  const look = { view, manifestAt: began, listedAt: began };
  // Writers of a legacy store do not take part in looks that are shared.
  if (view.legacy !== undefined || view.segments.length > SHARED_SEGMENTS_MAX) return look;
  warmLooks.whole = look;
  keepSnapshot(parts, view.loaded, began);
  return look;
}

/** The manifest alone. A legacy store has a log that its manifest names: a whole look. */
async function lookAtManifest(parts: LookParts): Promise<TimedView> {
  const { manifests, runtime } = parts;
  const manifestAt = momentOf(runtime);
  const loaded = await manifests.load();
  if (loaded.legacyManifest !== undefined) return lookWhole(parts);
  return keepSnapshot(parts, loaded, manifestAt);
}

/** The manifest of now with the listing of before: none, where nothing was listed. */
export async function lookAgainAtManifest(
  parts: LookParts,
  { view, listedAt }: Pick<TimedView, "view" | "listedAt">,
): Promise<TimedView> {
  const { manifests, runtime } = parts;
  const manifestAt = momentOf(runtime);
  const renewed = await renewView(manifests, view);
  if (renewed.legacy === undefined) keepSnapshot(parts, renewed.loaded, manifestAt);
  return { view: renewed, manifestAt, listedAt };
}

/** For the next opening: what the manifest alone shows. */
function keepSnapshot(
  { warmLooks }: LookParts,
  loaded: LoadedManifest,
  manifestAt: Moment,
): TimedView {
  const view = viewOf({ loaded, legacy: undefined }, NOT_LISTED);
  const snapshot = { view, manifestAt, listedAt: undefined };
  warmLooks.snapshot = snapshot;
  return snapshot;
}

/** @throws InvalidArgumentError for anything else */
export function checkFreshness(found: unknown): Freshness {
  if (found === "strong" || found === "snapshot") return found;
  const maxStaleMs: unknown =
    typeof found === "object" && found !== null ? Reflect.get(found, "maxStaleMs") : undefined;
  if (typeof maxStaleMs === "number" && maxStaleMs >= 0) return { maxStaleMs };
  throw new InvalidArgumentError(
    `freshness: expected "strong", "snapshot" or { maxStaleMs: a number of ms }, found ${describeValue(found)}`,
  );
}
