/** What a pass does with the lanes: merges claims, seals before a purge, finds strays (PROTOCOL, K1 to K5). */
import type { Manifest } from "../format/manifest-codec.ts";
import type { ListedLanes } from "../log/claims.ts";
import type { LoadedManifest } from "../view/manifest-store.ts";
import { ClaimReader, isPassedOver, type PassedClaims, type ReadClaims } from "./claims.ts";
import { heightsOf, strayClaims } from "./lanes.ts";
import { guardGraceOf } from "./publication.ts";
import { wantsSeal } from "./purge.ts";
import type { CompactorParts, PassOptions } from "./report.ts";
import { createSeals, isSealDue, sealSpacingMs } from "./seals.ts";

/** The listing of a look, before the lease was taken: whatever it shows was there before any manifest of the pass. */
export interface SeenLanes {
  readonly lanes: ListedLanes;
  readonly firstDateMs: number | undefined;
  /** Nothing was left out because it took too long. */
  readonly isWhole: boolean;
}

export class LanesWork {
  readonly #parts: CompactorParts;
  readonly #options: PassOptions;
  readonly #seen: SeenLanes | undefined;
  #isOver: boolean;
  /** Some lane holds what cannot be passed yet. */
  #isBlocked = false;
  #hasBegun = false;
  #strays: readonly string[] = [];

  /** @param seen undefined: the lanes are for other passes */
  constructor(parts: CompactorParts, options: PassOptions, seen: SeenLanes | undefined) {
    this.#parts = parts;
    this.#options = options;
    this.#seen = seen;
    this.#isOver = seen === undefined;
  }

  /** To be deleted after the next publication. */
  get strays(): readonly string[] {
    return this.#strays;
  }

  published(): void {
    this.#strays = [];
  }

  /**
   * What can be merged next; undefined: nothing.
   * @param named what lists of passed claims name; undefined: not all of them could be read
   */
  async next(
    { manifest }: LoadedManifest,
    named: ReadonlySet<string> | undefined,
  ): Promise<PassedClaims | undefined> {
    if (this.#isOver || manifest.lanes === undefined) return undefined;
    const heights = heightsOf(this.#seen?.lanes.claims ?? [], manifest);
    const reader = new ClaimReader(this.#parts, manifest, this.#options.signal);
    const read = await reader.read(heights);
    this.#report(read);
    if (!this.#hasBegun && named !== undefined) await this.#findStrays(manifest, named, read);
    this.#hasBegun = true;
    this.#isOver = !read.isCut || read.passed === undefined;
    this.#isBlocked = [...heights].some(([lane, n]) => (read.ends.get(lane) ?? 0) < n);
    return read.passed;
  }

  /**
   * Seals all lanes where deletions wait for it, and passes what is in them up to their seals.
   * @param floor what a purge could raise the floor to
   */
  async seal(loaded: LoadedManifest, floor: number): Promise<PassedClaims | undefined> {
    const { manifest } = loaded;
    const { settings, pace, runtime, onWarning } = this.#parts;
    if (this.#seen === undefined || !this.#isOver || this.#isBlocked) return undefined;
    const { full = false, signal } = this.#options;
    if (!wantsSeal(manifest, floor, full) || !isSealDue(loaded, settings)) return undefined;
    const spacingMs = sealSpacingMs(manifest, settings);
    if (runtime.steadyMs() - pace.lastSealMs < spacingMs) return undefined;
    pace.lastSealMs = runtime.steadyMs();
    const heights = heightsOf(this.#seen.lanes.claims, manifest);
    try {
      const seals = await createSeals(this.#parts, manifest, heights, signal);
      const reader = new ClaimReader(this.#parts, manifest, signal);
      for (const seal of seals) reader.know(seal);
      const upTo = new Map(seals.map(({ lane, n }) => [lane, n]));
      const read = await reader.read(upTo, manifest.generation);
      this.#report(read);
      return read.passed;
    } catch (error) {
      if (!isPassedOver(error)) throw error;
      onWarning(`no deletion is purged, because the lanes could not be sealed: ${error.message}`);
      return undefined;
    }
  }

  #report({ corrupt }: ReadClaims): void {
    for (const { message } of corrupt) {
      this.#parts.onWarning(`not compacted, because it cannot be read: ${message}`);
    }
  }

  /** K4. */
  async #findStrays(
    manifest: Manifest,
    named: ReadonlySet<string>,
    { awaited }: ReadClaims,
  ): Promise<void> {
    if (this.#seen === undefined) return;
    const { lanes, firstDateMs = 0, isWhole } = this.#seen;
    const isNamed = (path: string): boolean => named.has(path);
    const transactions: string[] = [];
    const graceMs = guardGraceOf(manifest, this.#parts.settings);
    // Intents of what a listing shows that was cut short may not be in it.
    for (const path of awaited === undefined || !isWhole ? [] : lanes.transactions) {
      if (isNamed(path) || awaited?.has(path) === true) continue;
      const found = await this.#parts.backend.get(path);
      // Its intents are older than it: they were listed, or are passed.
      const isOld = found.status === "found" && firstDateMs - found.lastModifiedMs >= graceMs;
      if (isOld) transactions.push(path);
    }
    const claims = strayClaims(manifest, lanes.claims).filter((path) => !isNamed(path));
    this.#strays = [...claims, ...transactions];
  }
}
