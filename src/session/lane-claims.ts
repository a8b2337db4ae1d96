/**
 * Claims of one lane as objects: put at the next number, judged by the dates of the answers, and what
 * others' claims concern (PROTOCOL, G4 to G6). Data claims and intents alike.
 */
import { maxOf } from "../core/bulk.ts";
import { NotSupportedError, UnavailableError, WriteOutcomeUnknownError } from "../core/errors.ts";
import { guardWindowMs } from "../core/settings.ts";
import type { Engine } from "../engine/engine.ts";
import { type Claim, namesOf, type Recent } from "../format/claim.ts";
import { laneFloor } from "../format/manifest-codec.ts";
import type { LanePlace } from "../format/paths.ts";
import type { SentClaim } from "../log/claim-writer.ts";
import { claimRef, isClaim } from "../log/claims.ts";
import type { View } from "../view/view.ts";
import type { LockedReplica, Replica } from "./replica.ts";

/** A claim that has its number. */
export interface ClaimPut {
  readonly place: LanePlace;
  readonly bytes: Buffer;
}

/** A view that is decided in without a look may be so old. */
const VIEW_AGE_MS_MAX = 10_000;
/** SPAN: looks that were frozen between two pages. */
const LOOKS_MAX = 3;
/** Numbers that others took for other records, until the view is taken anew. */
const PASSED_MAX = 3;
const BACKOFF_MS_MIN = 20;
const BACKOFF_MS_MAX = 1_000;

/** G7: the longest wait after so many conflicts. */
export function backOffMs(conflicts: number): number {
  return Math.min(BACKOFF_MS_MAX, BACKOFF_MS_MIN * 2 ** conflicts);
}

/** @param what is refused */
export function noLanes(what: string): NotSupportedError {
  return new NotSupportedError(
    `${what} need a store with lanes, which its next compaction adds: run one by this version ` +
      "(`compact(location)`, or the scheduled compactor), once every program of the store can read them",
  );
}

export class LaneClaims {
  readonly #engine: Engine;
  readonly #replica: Replica;

  constructor(engine: Engine, replica: Replica) {
    this.#engine = engine;
    this.#replica = replica;
  }

  /** G0: the store has lanes, as of the last look. */
  get isSupported(): boolean {
    return this.#replica.view.loaded.manifest.lanes !== undefined;
  }

  /** G1 and SPAN. @param needsLook also if the view is young */
  async look(locked: LockedReplica, needsLook: boolean): Promise<void> {
    if (needsLook || !this.#replica.isFreshToWrite(VIEW_AGE_MS_MAX)) await locked.refresh();
    for (let looks = 1; this.#spanMs > this.windowMs; looks++) {
      if (looks === LOOKS_MAX) {
        throw new UnavailableError(
          `a look took more than ${this.windowMs} ms by the medium's dates, ${LOOKS_MAX} times in a row`,
        );
      }
      await locked.refresh();
    }
  }

  get #spanMs(): number {
    const { firstDateMs, lastDateMs } = this.#replica.view;
    return lastDateMs - firstDateMs;
  }

  /** WINDOW, by what the view's manifest promises. */
  get windowMs(): number {
    return guardWindowMs(this.#replica.view.loaded.manifest);
  }

  /**
   * G4 to G6, in the view of the replica, whose lock is held.
   * @param ids those that were decided on
   * @param encode the claim at a place, with what it tells of those before it
   * @param names those of the lane, which the claim names
   * @returns undefined if another's claim concerns what was decided on: it is to be decided anew
   * @throws as `ClaimWriter.put`
   */
  async claim(
    lane: number,
    ids: ReadonlySet<string>,
    encode: (place: LanePlace, recent: Recent) => Buffer,
    names: Iterable<string> = ids,
  ): Promise<ClaimPut | undefined> {
    const { newestClaims } = this.#engine;
    const taken = takenNumbers(this.#replica.viewWithOwn, lane);
    // A number that was passed over is not in the view: what it holds may concern this decision.
    if (taken.isCut) return undefined;
    const first = taken.last + 1;
    for (let n = first; n <= first + PASSED_MAX; n++) {
      const place = { lane, n };
      const recent = newestClaims.before(place);
      const bytes = encode(place, recent);
      const sent = await this.#send(place, bytes);
      const isWritten = sent.status === "written";
      const judged = sent.status !== "gone" && this.isLive([place], sent.dateMs);
      const isLive = await Promise.resolve(judged).catch((cause: unknown) => {
        throw isWritten
          ? this.#unknown(place, bytes, "it cannot be told whether it counts", cause)
          : cause;
      });
      if (sent.status === "written") {
        if (!isLive) throw this.#unknown(place, bytes, "was merged before its answer came");
        newestClaims.note({ ...place, recent }, names);
        return { place, bytes };
      }
      if (sent.status === "gone" || !isLive) return undefined;
      newestClaims.note(sent.claim, namesOf(sent.claim));
      if (namesAny(sent.claim, ids)) return undefined;
    }
    return undefined;
  }

  async #send(place: LanePlace, bytes: Buffer): Promise<SentClaim> {
    try {
      return await this.#engine.claims.put(place, bytes);
    } catch (error) {
      if (!(error instanceof WriteOutcomeUnknownError)) throw error;
      throw this.#unknown(place, bytes, error.message, error);
    }
  }

  /** WINDOW: later than that the name may have been merged, deleted, and taken by a late request. */
  async isLive(places: readonly LanePlace[], dateMs: number): Promise<boolean> {
    return (await this.countLive(places, dateMs)) === places.length;
  }

  /** How many of the places are above the floors of their lanes, as of an answer of this date. */
  async countLive(places: readonly LanePlace[], dateMs: number): Promise<number> {
    const { loaded, firstDateMs } = this.#replica.view;
    const elapsedMs = dateMs - firstDateMs;
    if (elapsedMs >= -this.windowMs && elapsedMs <= this.windowMs) return places.length;
    const { manifest } = await this.#engine.manifests.load(loaded);
    return places.filter(({ lane, n }) => n > laneFloor(manifest, lane)).length;
  }

  /** G8: the same bytes once more tell what became of them. */
  #unknown(
    place: LanePlace,
    bytes: Buffer,
    why: string,
    cause?: unknown,
  ): WriteOutcomeUnknownError {
    const { claims, manifests } = this.#engine;
    const path = claimRef(place, bytes.length).path;
    const settle = async (): Promise<"written" | "nothing"> => {
      const sent = await claims.put(place, bytes);
      const { manifest } = await manifests.load();
      const isLive = sent.status !== "gone" && place.n > laneFloor(manifest, place.lane);
      if (!isLive) throw new WriteOutcomeUnknownError(`${path} was merged meanwhile`, { path });
      return sent.status === "written" ? "written" : "nothing";
    };
    return new WriteOutcomeUnknownError(`${path}: ${why}`, { path, cause, settle });
  }
}

/** The highest number of a lane that is taken, and whether one below it is not in the view. */
function takenNumbers({ loaded, segments }: View, lane: number): { last: number; isCut: boolean } {
  const floor = laneFloor(loaded.manifest, lane);
  const numbers = segments
    .filter((ref) => isClaim(ref))
    .flatMap(({ claim }) => (claim.lane === lane && claim.n > floor ? claim.n : []));
  const last = maxOf(numbers, floor);
  return { last, isCut: new Set(numbers).size < last - floor };
}

/** TOUCH */
function namesAny(claim: Claim, ids: ReadonlySet<string>): boolean {
  return claim.kind === "seal" || namesOf(claim).some((id) => ids.has(id));
}
