/**
 * Judges calls of `once` by the claims that landed, without calling the engine: who held a key, which
 * results were completed, and what the objects still hold of them.
 */
import { isHidden, onceId } from "../../src/core/hidden.ts";
import { laneFloor } from "../../src/format/manifest-codec.ts";
import { decodeOnce, type OnceState } from "../../src/format/once-record.ts";
import { type LanePlace, parseClaimPath } from "../../src/format/paths.ts";
import { versionOf } from "../../src/format/segment.ts";
import type { createCounts } from "./counts.ts";
import { compareOps, type Versioned } from "./ledger.ts";
import type { ObjectServer } from "./object-server.ts";
import { numbersOf, segmentsIn } from "./sent-segments.ts";
import { EPOCH_MS } from "./sim-process.ts";
import type { Truth } from "./truth.ts";

/** Of a record that has ended: how long merges keep it in a simulation. */
export const ENDED_KEPT_MS = 2_000;
/** The medium dates its answers in whole seconds. */
const DATE_MS = 1_000;

interface Landed {
  readonly path: string;
  readonly place: LanePlace;
  readonly version: Versioned;
  /** Undefined: the record was deleted. */
  readonly state: OnceState | undefined;
  readonly atMs: number;
}

/** A call of a program. */
export interface OnceCall {
  readonly key: string;
  readonly begunMs: number;
  runs: number;
  /** What its function has returned. */
  result: string | undefined;
}

export interface OnceJudgeParts {
  readonly truth: Truth;
  readonly server: ObjectServer;
  readonly now: () => number;
  readonly counts: ReturnType<typeof createCounts>;
  readonly fail: (rule: string, message: string) => void;
}

export class OnceJudge {
  readonly #parts: OnceJudgeParts;
  /** By id, in the order of their lanes. */
  readonly #landed = new Map<string, Landed[]>();

  constructor(parts: OnceJudgeParts) {
    this.#parts = parts;
  }

  /** A claim took its place. */
  onPut(path: string, body: Uint8Array): void {
    const place = parseClaimPath(path);
    if (place === undefined) return;
    const { truth, now } = this.#parts;
    // On a number that had passed it never counts.
    if (place.n <= laneFloor(truth.manifest(), place.lane)) return;
    for (const segment of segmentsIn(path, body)) {
      const { schemaVersion: schema } = segment;
      for (const operation of segment.operations.filter(({ id }) => isHidden(id))) {
        const state = decodeOnce(operation.data);
        const text = operation.op === "set" ? JSON.stringify(operation.data) : undefined;
        const version = { ...numbersOf(versionOf(segment, operation)), schema, text };
        const atMs = now();
        this.#take(operation.id, { path, place, version, state, atMs });
      }
    }
  }

  #take(id: string, landed: Landed): void {
    const all = this.#landed.get(id) ?? [];
    this.#landed.set(id, all);
    this.#checkNext(id, all.at(-1)?.state, landed);
    all.push(landed);
  }

  /** E1, E2, E4: what one state may be followed by. */
  #checkNext(id: string, before: OnceState | undefined, { state, atMs, path }: Landed): void {
    const { fail } = this.#parts;
    const says = `${JSON.stringify(id)}: ${path} follows ${JSON.stringify(before)}`;
    const isOpen = before !== undefined && before.expires >= EPOCH_MS + atMs;
    if (state === undefined || state.holder === before?.holder) {
      if (before?.state === "done") fail("ONCE", `${says}: what is done was changed`);
      return;
    }
    if (state.state === "done") fail("ONCE", `${says}: completed by one who did not hold it`);
    else if (isOpen) fail("ONCE", `${says}: taken before its end`);
  }

  /** What a power cut took away was acknowledged to nobody. */
  powerCut(): void {
    const { server, truth } = this.#parts;
    const manifest = truth.manifest();
    for (const [id, all] of this.#landed) {
      const kept = all.filter(
        ({ path, place }) => server.objects.has(path) || place.n <= laneFloor(manifest, place.lane),
      );
      this.#landed.set(id, kept);
    }
  }

  begin(key: string): OnceCall {
    return { key, begunMs: this.#parts.now(), runs: 0, result: undefined };
  }

  /** The function of a call begins to run. */
  runs(call: OnceCall): void {
    const { counts, fail, now } = this.#parts;
    counts.onceRuns++;
    if (++call.runs > 1) fail("ONCE", `${call.key}: one call ran its function twice`);
    const nowMs = EPOCH_MS + now();
    const known = this.#doneOf(call.key).find(
      ({ atMs, state }) => atMs <= call.begunMs && state.expires >= nowMs,
    );
    if (known !== undefined) {
      fail("ONCE", `${call.key}: runs again, ${known.path} was completed before`);
    }
  }

  /** A call has returned: it must be what was completed. */
  returned({ key, begunMs, runs }: OnceCall, result: string): void {
    const { counts, fail } = this.#parts;
    if (runs > 0) counts.onceResults++;
    else counts.onceRepeated++;
    const isKnown = this.#doneOf(key).some(
      ({ state }) => state.result === result && state.expires + DATE_MS >= EPOCH_MS + begunMs,
    );
    if (!isKnown) fail("ONCE", `${key}: returned ${result}, which was not completed, or has ended`);
  }

  /**
   * A call was told that another took it over. One whose outcome was unknown until its result had ended
   * cannot tell.
   */
  lost({ key, result }: OnceCall): void {
    const { counts, fail, now } = this.#parts;
    counts.onceLost++;
    const nowMs = EPOCH_MS + now();
    const isDone = this.#doneOf(key).some(
      ({ state }) => state.result === result && state.expires >= nowMs,
    );
    if (isDone) fail("ONCE", `${key}: ${result} was completed, its call heard that it was lost`);
  }

  #doneOf(key: string): (Landed & { readonly state: OnceState })[] {
    return (this.#landed.get(onceId(key)) ?? []).flatMap((one) =>
      one.state?.state === "done" ? [{ ...one, state: one.state }] : [],
    );
  }

  /** E7, and that nothing is lost: of the objects themselves. */
  checkStore(when: string): void {
    if (this.#landed.size === 0) return;
    const { truth, counts, fail, now } = this.#parts;
    const winners = truth.hidden();
    for (const [id, all] of this.#landed) {
      const last = all.at(-1);
      if (last === undefined) continue;
      const winner = winners.get(id);
      const { state, version } = last;
      const mayBeGone = state === undefined || state.expires + ENDED_KEPT_MS < EPOCH_MS + now();
      const isLast = winner !== undefined && compareOps(winner, version) === 0;
      const isTombstone =
        winner?.text === undefined &&
        (winner === undefined || compareOps(winner, { ...version, text: undefined }) === 0);
      if (isTombstone && winner !== undefined && state !== undefined) counts.onceEnded++;
      if (isLast || (mayBeGone && isTombstone)) continue;
      const found = winner === undefined ? "nothing" : `${winner.text} at ${winner.rev}`;
      fail("ONCE", `${when}: expected ${version.text} of ${last.path}, the objects hold ${found}`);
    }
  }
}
