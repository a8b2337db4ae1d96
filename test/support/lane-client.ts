/**
 * A program that makes guarded writes and merges claims, as plain as the protocol permits, for tests of
 * readers. It expects to be the only one that does, and that nothing is purged.
 */
import { guarded, NO_RECENT, nonce, claimBytes, transactionBytes } from "./claims.ts";
import { preparePublication } from "../../src/compaction/publication.ts";
import { laneOf } from "../../src/core/lane.ts";
import { type Entry, type RunEntry, type Version, wins } from "../../src/core/version.ts";
import type { Engine } from "../../src/engine/engine.ts";
import { type Claim, type GuardedOperation, namesOf, type Recent } from "../../src/format/claim.ts";
import { levelsOf } from "../../src/format/levels.ts";
import { laneFloor, type Manifest } from "../../src/format/manifest-codec.ts";
import {
  claimPath,
  filterHash,
  type LanePlace,
  runPaths,
  txnPath,
} from "../../src/format/paths.ts";
import { versionOf } from "../../src/format/segment.ts";
import { type ClaimRef, isClaim, readClaim } from "../../src/log/claims.ts";
import { readClaims } from "../../src/read/claims.ts";
import { gather } from "../../src/read/load-records.ts";
import { fromSorted } from "../../src/runs/merge.ts";
import { writeRun } from "../../src/runs/run-writer.ts";
import { makeView, type View } from "../../src/view/view.ts";

/** What a write makes of records; undefined: it is deleted. */
export type Writes = Readonly<Record<string, unknown>>;

/** A transaction whose intents are in place. */
export interface Begun {
  readonly path: string;
  readonly places: readonly LanePlace[];
  commit(): Promise<void>;
  abort(): Promise<void>;
}

const rethrow = (error: Error): never => {
  throw error;
};

export class LaneClient {
  readonly #engine: Engine;
  #transactions = 0;

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  /** Lets the store take guarded writes. */
  async giveBirth(): Promise<void> {
    await this.#publish((manifest) => ({ ...manifest, lanes: manifest.lanes ?? [] }));
  }

  /** Writes records of one lane by one claim. @returns where it is */
  async write(writes: Writes): Promise<LanePlace> {
    const { view, operations } = await this.#evaluate(writes);
    const place = this.#next(view, laneOf(Object.keys(writes)[0] ?? ""));
    const recent = await this.#recent(view, place);
    await this.put({ kind: "data", ...place, nonce: nonce(), recent, reads: [], operations });
    return place;
  }

  /** Writes records of any lanes; they change when it is committed. */
  async begin(writes: Writes): Promise<Begun> {
    const { view, operations } = await this.#evaluate(writes);
    const rand = (this.#transactions++).toString(16).padStart(16, "a");
    const path = txnPath({ t: 1_795_356_093, rand });
    const ids = Object.keys(writes);
    const lanes = [...new Set(ids.map(laneOf))].toSorted((a, b) => a - b);
    const places: LanePlace[] = [];
    for (const lane of lanes) {
      const place = this.#next(view, lane);
      const recent = await this.#recent(view, place);
      const names = ids.filter((id) => laneOf(id) === lane).toSorted();
      const intent = { kind: "intent", ...place, nonce: nonce(), recent, txn: path } as const;
      await this.put({ ...intent, reads: [], writes: names });
      places.push(place);
    }
    const decide = async (bytes: Buffer): Promise<void> => {
      await this.#create(path, bytes);
    };
    const commit = { kind: "commit", nonce: nonce(), at: places, operations } as const;
    return {
      path,
      places,
      commit: () => decide(transactionBytes(commit)),
      abort: () => decide(transactionBytes({ kind: "abort", nonce: nonce() })),
    };
  }

  async put(claim: Claim): Promise<void> {
    await this.#create(claimPath(claim), claimBytes(claim));
  }

  /**
   * Merges every live claim into a run; all of them must be decided.
   * @returns their paths, and those of their transactions: they may be deleted
   */
  async merge(): Promise<string[]> {
    const { engine } = { engine: this.#engine };
    for (;;) {
      const view = await makeView(engine.manifests, engine.log);
      const refs = view.segments.filter(isClaim);
      const { claims } = await readClaims({ sources: engine, view, onCorrupt: rethrow }, refs);
      const winners = new Map<string, Entry>();
      const floors = new Map<number, number>();
      const paths: string[] = [];
      for (const { ref, claim, segments } of claims) {
        if (segments === undefined) throw new Error(`${ref.path} is not decided`);
        paths.push(ref.path, ...(claim.kind === "intent" ? [claim.txn] : []));
        floors.set(claim.lane, Math.max(floors.get(claim.lane) ?? 0, claim.n));
        for (const segment of segments) {
          for (const operation of segment.operations) {
            const { id, data } = operation;
            const text = data === undefined ? undefined : JSON.stringify(data);
            const version = versionOf(segment, operation);
            const entry = { version, schemaVersion: segment.schemaVersion, text };
            if (wins(entry, winners.get(id))) winners.set(id, entry);
          }
        }
      }
      const entries = [...winners].map(([id, entry]): RunEntry => ({ id, ...entry }));
      if (await this.#publishMerged(view, entries, floors)) return paths;
    }
  }

  async #publishMerged(
    view: View,
    entries: RunEntry[],
    floors: ReadonlyMap<number, number>,
  ): Promise<boolean> {
    const { backend, manifests, runtime, compression } = this.#engine;
    const base = view.loaded.manifest.generation;
    const { path, index: indexPath } = runPaths(base, runtime.randomHex(16));
    entries.sort((a, b) => (a.id < b.id ? -1 : 1));
    const batches = fromSorted(entries);
    const run = await writeRun(backend, { path, indexPath, base, compression, entries: batches });
    const loaded = await manifests.open(view.loaded);
    const made = run === undefined ? [] : [{ runs: [run], isDraining: false }];
    const clock = entries.reduce((most, { version }) => Math.max(most, version.clock), 0);
    const change = { levels: [...made, ...levelsOf(loaded.manifest)], clock };
    return this.#swap(loaded, change, (manifest) => {
      const lanes = Array.from({ length: 256 }, (_, lane) =>
        Math.max(laneFloor(manifest, lane), floors.get(lane) ?? 0),
      );
      return { ...manifest, lanes: lanes.slice(0, lanes.findLastIndex((n) => n > 0) + 1) };
    });
  }

  async #publish(edit: (manifest: Manifest) => Manifest): Promise<void> {
    const { manifests } = this.#engine;
    for (;;) {
      const loaded = await manifests.open(await manifests.load());
      const change = { levels: levelsOf(loaded.manifest), clock: 0 };
      if (await this.#swap(loaded, change, edit)) return;
    }
  }

  async #swap(
    loaded: View["loaded"],
    change: Pick<Parameters<typeof preparePublication>[1], "levels" | "clock">,
    edit: (manifest: Manifest) => Manifest,
  ): Promise<boolean> {
    const { manifests, runtime, settings } = this.#engine;
    const dateMs = Math.max(loaded.dateMs, runtime.nowMs());
    const { activeRecords = 0 } = loaded.manifest.stats ?? {};
    const full = { nonce: runtime.randomHex(16), schema: 1, activeRecords, dateMs, ...change };
    const before = { ...loaded, manifest: edit(loaded.manifest) };
    const { manifest } = preparePublication(before, full, settings);
    const after = await manifests.publish(loaded, manifest, settings.writeTimeoutMs);
    return after !== undefined;
  }

  async #evaluate(
    writes: Writes,
  ): Promise<{ readonly view: View; readonly operations: readonly GuardedOperation[] }> {
    const { manifests, log } = this.#engine;
    const ids = Object.keys(writes);
    const first = await makeView(manifests, log);
    const wanted = new Set(ids);
    const options = { view: first, wanted, merged: new Set<string>(), onCorrupt: rethrow };
    const { view, entries } = await gather(this.#engine, options);
    const { purgeFloor } = view.loaded.manifest;
    const absent: Version = { clock: purgeFloor + 1, agent: "", writerNonce: "" };
    const operations = ids.map((id) => {
      const entry = entries.get(id);
      const prev = entry?.value === undefined ? { prev: null } : { prev: entry.value };
      return guarded(id, entry?.version ?? absent, writes[id], prev);
    });
    return { view, operations };
  }

  #next({ segments, loaded: { manifest } }: View, lane: number): LanePlace {
    const numbers = segments.flatMap(({ claim }) => (claim?.lane === lane ? [claim.n] : []));
    return { lane, n: Math.max(laneFloor(manifest, lane), ...numbers) + 1 };
  }

  /** By the claim before it, as far as that tells. */
  async #recent({ segments }: View, { lane, n }: LanePlace): Promise<Recent> {
    const isBefore = (ref: ClaimRef): boolean => ref.claim.lane === lane && ref.claim.n === n - 1;
    const last = segments.filter(isClaim).find(isBefore);
    const read = last && (await readClaim(this.#engine.backend, last));
    if (read?.status !== "found") return NO_RECENT(n);
    const claim = read.value;
    const from = Math.max(claim.recent.from, n - 64);
    const ids = new Map([...claim.recent.ids].filter(([, number]) => number >= from));
    for (const id of namesOf(claim)) ids.set(filterHash(id), n - 1);
    return { from, ids };
  }

  async #create(path: string, bytes: Buffer): Promise<void> {
    const { status } = await this.#engine.backend.put(path, bytes, { ifAbsent: true });
    if (status === "conflict") throw new Error(`${path} exists already`);
  }
}
