/** Which objects in `snapshots/` nobody can ever reference again (ORPHAN). Pure. */
import type { Manifest } from "../format/manifest-codec.ts";
import { parseRunBase } from "../format/paths.ts";

/**
 * A run made on generation b can be published only as b + 1, so what an earlier base left behind
 * and the manifest does not mention is garbage for good.
 */
export function orphans(manifest: Manifest, listed: readonly string[]): string[] {
  const mentioned = new Set([
    ...manifest.runs.flatMap(({ path, index }) => [path, index]),
    ...manifest.retired.map(({ path }) => path),
  ]);
  return listed.filter((path) => {
    const base = parseRunBase(path);
    return base !== undefined && base < manifest.generation && !mentioned.has(path);
  });
}
