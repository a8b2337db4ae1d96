/** Lists of what a publication has merged, to be deleted by a later pass (PROTOCOL, C8 and KEEP). */
import { ConflictError } from "../core/errors.ts";
import { NameList } from "../core/name-list.ts";
import type { Retired } from "../format/manifest-codec.ts";
import { retiredListPath } from "../format/paths.ts";
import { encodeRetiredList } from "../format/retired-list.ts";
import type { LogRef } from "../log/log.ts";
import { summarize } from "../view/live-segments.ts";
import type { LoadedManifest } from "../view/manifest-store.ts";
import type { CompactorParts } from "./report.ts";

/** A list that the next manifest is to retire, with the date of the answer to its PUT. */
export interface WrittenList {
  readonly retired: Retired;
  readonly names: NameList;
  readonly dateMs: number;
}

type Parts = Pick<CompactorParts, "backend" | "runtime" | "settings">;

/**
 * FAST-VIEW: names what the new run stands for; undefined for nothing. By the date of the answer, which
 * is later than the manifest's, a list of the pass before is due where the grace is as long as the
 * time from pass to pass.
 */
export async function writeSegmentList(
  parts: Parts,
  loaded: LoadedManifest,
  refs: readonly LogRef[],
): Promise<WrittenList | undefined> {
  if (refs.length === 0) return undefined;
  const paths = refs.map((ref) => ref.path);
  const { path, ...written } = await writeNames(parts, loaded, paths);
  return { retired: { path, list: true, segments: summarize(refs) }, ...written };
}

/** KEEP: on every medium, since no number of a lane may be free again before the views that want it end. */
export async function writeClaimList(
  parts: Parts,
  loaded: LoadedManifest,
  paths: readonly string[] = [],
): Promise<WrittenList | undefined> {
  if (paths.length === 0) return undefined;
  const { path, ...written } = await writeNames(parts, loaded, paths);
  return { retired: { path, list: true, claims: true }, ...written };
}

async function writeNames(
  { backend, runtime, settings }: Parts,
  loaded: LoadedManifest,
  paths: readonly string[],
): Promise<Omit<WrittenList, "retired"> & { readonly path: string }> {
  const path = retiredListPath(loaded.manifest.generation, runtime.randomHex(16));
  const body = encodeRetiredList(paths);
  const timeoutMs = settings.writeTimeoutMs;
  const put = await backend.put(path, body, { ifAbsent: true }, { timeoutMs });
  if (put.status === "conflict") throw new ConflictError(`${path} exists already`, { path });
  return { path, names: new NameList(paths), dateMs: Math.max(loaded.dateMs, put.dateMs) };
}
