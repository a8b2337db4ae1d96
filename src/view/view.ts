/**
 * VIEW = (manifest, listing): what the listing lacks because it was deleted, the manifest's runs
 * hold. Every read and every write of a store starts from one, and begins again on a newer one when
 * a compaction deletes what it names (V4).
 */
import { type CorruptionError, UnavailableError } from "../core/errors.ts";
import type { IntentClaim, Transaction } from "../format/claim.ts";
import { isClaim, type LaneRead } from "../log/claims.ts";
import type { Log, LogListing, LogRef } from "../log/log.ts";
import type { LegacyStore } from "../legacy/legacy-store.ts";
import type { Catalogue } from "../format/catalogue.ts";
import { runsIn } from "../format/levels.ts";
import type { Manifest } from "../format/manifest-codec.ts";
import type { RunInfo } from "../format/run-info.ts";
import type { Run } from "../runs/run.ts";
import { RunGoneError } from "../runs/run-gone.ts";
import type { RunStore } from "../runs/run-reader.ts";
import type { LoadedManifest, ManifestStore } from "./manifest-store.ts";
import { liveClaims } from "./lanes.ts";
import { namesIn, sortListing } from "./live-segments.ts";

/** What a view takes from a listing of the log. */
export type ViewListing = Pick<LogListing, "segments" | "lanes" | "corrupt" | "legacyLog"> &
  Partial<Pick<LogListing, "firstDateMs" | "lastDateMs">>;

/** For a view of the manifest alone. */
export const NOT_LISTED: ViewListing = { segments: [], corrupt: [] };

export interface View {
  /** The manifest, with what the response that returned it says about it. */
  readonly loaded: LoadedManifest;
  /**
   * Live segments: those above the purge floor (FLOOR) that the runs do not hold. While
   * `unreadLists` names lists, segments that these name are among them. Then live claims (R1), by lane
   * and number.
   */
  readonly segments: readonly LogRef[];
  /** What became of transactions, once for all readers of the view (R3). */
  readonly decisions: Decisions;
  /** Keys of claims that are not there although they must be: each is reported in `corrupt`. */
  readonly lost: ReadonlySet<string>;
  /** Paths of listed segments that the runs hold. */
  readonly published: readonly string[];
  /** Lists to be read before it is known which of `segments` the runs hold: `settleView`. */
  readonly unreadLists: readonly string[];
  readonly corrupt: readonly CorruptionError[];
  /** Dates of the earliest and of the latest response that it is made of, by the medium's clock. */
  readonly firstDateMs: number;
  readonly lastDateMs: number;
  /** Highest clock of the manifest and of every listed segment. */
  readonly clock: number;
  /** Until the first compaction of a legacy store; `segments` hold its log too. */
  readonly legacy: LegacyStore | undefined;
  /** A legacy log object, where the listing shows one. */
  readonly legacyLog: string | undefined;
}

/** What is known of the transactions that intents of a view name. */
export interface Decisions {
  /** By path. */
  readonly found: Map<string, Promise<LaneRead<Transaction>>>;
  /** By key, intents that count as not merged (V6), because nothing is decided yet. */
  readonly undecided: Map<string, OpenIntent>;
}

/** An intent of which nobody has decided whether it takes effect. */
export interface OpenIntent {
  readonly claim: IntentClaim;
  /** By the medium's dates, when it was read. */
  readonly ageMs: number;
}

/** What memory that was built from a view depends on: with another it is built anew (RELOAD). */
export interface MemoryBase {
  /** Of the manifest: a later purge leaves no trace of deletions. */
  readonly generation: number;
  /**
   * Lowest clock of the log that is in no run; Infinity: there is none. Once the floor has risen to it,
   * nothing shows whether that log was merged, or is ignored because it came too late (FLOOR).
   */
  readonly lo: number;
  /** Of the legacy store, while it is one. */
  readonly fingerprint: string | undefined;
}

export function memoryBase({ loaded, legacy, segments }: View): MemoryBase {
  const lo = segments.reduce((lowest, ref) => Math.min(lowest, ref.lo), Infinity);
  return { generation: loaded.manifest.generation, lo, fingerprint: legacy?.fingerprint };
}

/** What a view is made of besides the listing. */
type ViewBase = Pick<View, "loaded" | "legacy">;

/** How often a reader follows manifests that are replaced while it reads. */
const VIEWS_MAX = 50;
/** Dates of responses are whole seconds. */
const DATE_GRAIN_MS = 1_000;
/** Of a shorter grace, full seconds leave too little. */
const FAST_GRACE_MS_MIN = 4 * DATE_GRAIN_MS;
/** Of the segment grace: the rest is for clocks of the medium that differ, and for slow answers. */
const WINDOW_SHARE = 1 / 4;

/**
 * V1: manifest and listing in parallel. V2: the manifest again, 304 when it stands; a
 * newer one is used with the same listing, which is never repeated for this. FAST-VIEW: not where
 * the medium's dates show that nothing can have been deleted since the manifest was read.
 * @param known what was read before: an unchanged manifest then costs no body
 */
export async function makeView(
  manifests: ManifestStore,
  log: Log,
  known?: ViewBase,
): Promise<View> {
  const [before, listing] = await Promise.all([manifests.load(known?.loaded), log.list()]);
  const loaded = isFast(before, listing) ? before : await manifests.load(before);
  return viewOf(await withLegacy(manifests, loaded, known?.legacy), listing);
}

/**
 * Segments outlive the publication that holds them by the grace that the manifest names, so within
 * a quarter of it whatever was published since is still listed. Never by a clock of this process,
 * which may have been frozen in between.
 */
function isFast({ manifest, dateMs }: LoadedManifest, { lastDateMs }: LogListing): boolean {
  const { segmentGraceMs } = manifest;
  const elapsedMs = lastDateMs - dateMs;
  const isWithin = elapsedMs >= -DATE_GRAIN_MS && elapsedMs <= segmentGraceMs * WINDOW_SHARE;
  return segmentGraceMs >= FAST_GRACE_MS_MIN && isWithin;
}

/** Leaves out what the runs hold, by the lists of it, where the manifest alone does not decide. */
export async function settleView(manifests: ManifestStore, view: View): Promise<View> {
  if (view.unreadLists.length === 0) return view;
  const damaged: CorruptionError[] = [];
  const lists = await manifests.readLists(view.unreadLists, (error) => damaged.push(error));
  const { manifest } = view.loaded;
  const { live, published } = sortListing(manifest, view.segments, namesIn(lists));
  return {
    ...view,
    segments: live,
    published,
    unreadLists: [],
    corrupt: [...view.corrupt, ...damaged],
  };
}

/** The same listing under a newer manifest, without segments that turned out to be gone. */
export async function renewView(
  manifests: ManifestStore,
  view: View,
  gone: ReadonlySet<string> = new Set(),
): Promise<View> {
  const loaded = await manifests.load(view.loaded);
  const base = await withLegacy(manifests, loaded, view.legacy);
  const listed = view.segments.filter((ref) => ref.segments === undefined && !gone.has(ref.key));
  const { legacyLog, firstDateMs, lastDateMs } = view;
  const corrupt = view.corrupt.filter((error) => view.legacy?.corrupt.includes(error) !== true);
  const claims = view.segments.filter(isClaim);
  const segments = claims.length === 0 ? listed : listed.filter((ref) => !isClaim(ref));
  const lanes = claims.length === 0 ? undefined : { claims, transactions: [] };
  const lost = lanes === undefined ? view.lost : new Set([...view.lost, ...gone]);
  const renewed = viewOf(
    base,
    { segments, lanes, corrupt, legacyLog, firstDateMs, lastDateMs },
    lost,
  );
  return { ...renewed, clock: Math.max(view.clock, renewed.clock) };
}

/**
 * V2 for a legacy store: its log is read before the manifest that it stands for is found
 * to be current still, so nothing that it names was deleted meanwhile.
 */
async function withLegacy(
  manifests: ManifestStore,
  first: LoadedManifest,
  known: LegacyStore | undefined,
): Promise<ViewBase> {
  const limit = new ViewLimit("the original opslog publishes faster than its log can be read");
  let loaded = first;
  for (;;) {
    limit.begin();
    const legacy = await manifests.loadLegacy(loaded, known);
    if (legacy === undefined) return { loaded, legacy };
    const after = await manifests.load(loaded);
    if (after.etag === loaded.etag) {
      if (legacy instanceof RunGoneError) throw legacy.asDamage();
      return { loaded: after, legacy };
    }
    loaded = after;
  }
}

/**
 * Decides what of the listing is live under this manifest.
 * @param lost keys of claims that were found not to be there, under an earlier manifest
 */
export function viewOf(
  { loaded, legacy }: ViewBase,
  listing: ViewListing,
  lost: ReadonlySet<string> = new Set(),
): View {
  const { manifest, dateMs } = loaded;
  const listed = [...(legacy?.segments ?? []), ...listing.segments];
  const clock = listed.reduce((max, { hi }) => Math.max(max, hi), manifest.clock);
  const corrupt = legacy === undefined ? listing.corrupt : [...legacy.corrupt, ...listing.corrupt];
  const { live: segments, published, unread: unreadLists } = sortListing(manifest, listed);
  const { legacyLog, lanes } = listing;
  const decisions = { found: new Map(), undecided: new Map() };
  const dates = {
    firstDateMs: Math.min(dateMs, listing.firstDateMs ?? dateMs),
    lastDateMs: Math.max(dateMs, listing.lastDateMs ?? dateMs),
  };
  const base = { loaded, legacy, published, unreadLists, clock, legacyLog, ...dates };
  const common = { ...base, decisions, lost };
  if (lanes === undefined) return { ...common, segments, corrupt };
  const live = liveClaims(manifest, lanes.claims, lost);
  const known = new Set(corrupt.map(({ message }) => message));
  const found = live.corrupt.filter(({ message }) => !known.has(message));
  const all = [...segments, ...live.claims];
  return { ...common, segments: all, corrupt: [...corrupt, ...found] };
}

/**
 * Those that the manifest names, and the snapshot of a legacy store: opened for reading, oldest
 * first. No I/O.
 * @param isNeeded default: all; the view has read those that are (`openView`)
 */
export function runsOf(
  store: RunStore,
  { loaded, legacy }: View,
  isNeeded: (catalogue: Catalogue) => boolean = () => true,
): Run[] {
  const named = runsWithin(loaded.manifest, isNeeded).map((run) => store.open(run));
  return legacy === undefined ? named : [legacy.run, ...named];
}

/** All runs but those in catalogues that are not needed. */
export function runsWithin(
  { runs, catalogues }: Manifest,
  isNeeded: (catalogue: Catalogue) => boolean,
): RunInfo[] {
  return [...catalogues.filter(isNeeded).flatMap((catalogue) => runsIn(catalogue)), ...runs];
}

/** The same view with what its catalogues hold, as far as it is needed. @throws as `open` */
export async function openView(
  manifests: ManifestStore,
  view: View,
  isNeeded?: (catalogue: Catalogue) => boolean,
): Promise<View> {
  if (view.loaded.manifest.catalogues.length === 0) return view;
  const loaded = await manifests.open(view.loaded, isNeeded);
  return loaded === view.loaded ? view : { ...view, loaded };
}

/** Whether a catalogue describes a run that may hold one of the ids. */
export function mayDescribe({ from, to }: Catalogue, ids: Iterable<string>): boolean {
  for (const id of ids) if (from <= id && id < to) return true;
  return false;
}

/**
 * Names of the runs of a view, and of its catalogues, without opening them: memory that holds all of
 * these is known by them.
 */
export function runNames({ loaded, legacy }: View): string[] {
  const { runs, catalogues } = loaded.manifest;
  const described = catalogues.flatMap(({ path, content = [] }) => [{ path }, ...content]);
  const named = [...described, ...runs].map(({ path }) => path);
  return legacy === undefined ? named : [legacy.run.name, ...named];
}

/** Counts the views that one piece of work was begun on. */
export class ViewLimit {
  readonly #reason: string;
  #views = 0;

  /** @param reason for the message of the error. Default: a compaction */
  constructor(reason = "is a compaction running in a loop?") {
    this.#reason = reason;
  }

  /** To be called before the work begins on a view. @throws UnavailableError after too many */
  begin(): void {
    if (++this.#views <= VIEWS_MAX) return;
    throw new UnavailableError(
      `snapshots and log changed ${VIEWS_MAX} times while they were read; ${this.#reason}`,
    );
  }
}

/** One attempt of a piece of work. */
export interface Attempt {
  /** What it works on. The work replaces it by the settled view, where it needs that one. */
  view: View;
  /** The work adds keys of segments that were deleted; its result counts only if there are none. */
  readonly gone: Set<string>;
}

/**
 * Work on a view while compactions delete what it names: when something is gone, the view is renewed
 * under the current manifest, and the work begins again on that.
 * @param work what it throws is thrown, except RunGoneError; begun again, it continues where it was
 * @throws CorruptionError when the current manifest names a run that is not there; UnavailableError
 *   when compactions never cease
 */
export async function followView<R>(
  manifests: ManifestStore,
  first: View,
  work: (attempt: Attempt) => Promise<R>,
): Promise<R> {
  const following = followStream(manifests, first, (attempt) => resultOf(work(attempt)));
  return (await following.next()).value;
}

/** As `followView`, for work that yields while it runs. */
export async function* followStream<T, R>(
  manifests: ManifestStore,
  first: View,
  work: (attempt: Attempt) => AsyncGenerator<T, R>,
): AsyncGenerator<T, R> {
  const limit = new ViewLimit();
  let view = first;
  for (;;) {
    limit.begin();
    const attempt = { view, gone: new Set<string>() };
    let missing: RunGoneError | undefined;
    try {
      const result = yield* work(attempt);
      if (attempt.gone.size === 0) return result;
    } catch (error) {
      if (!(error instanceof RunGoneError)) throw error;
      missing = error;
    }
    view = await renewView(manifests, attempt.view, attempt.gone);
    const isSame = view.loaded.etag === attempt.view.loaded.etag;
    if (missing !== undefined && isSame) throw missing.asDamage();
  }
}

// eslint-disable-next-line require-yield -- a promise as work that only returns
async function* resultOf<R>(result: Promise<R>): AsyncGenerator<never, R> {
  return await result;
}
