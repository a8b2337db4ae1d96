/** `manifest.json` as the original opslog writes it, and how it is distinguished from ours. */
import { CorruptionError, OpslogError } from "../core/errors.ts";
import { checkPath } from "../core/relative-path.ts";
import { validateManifest } from "./validate.ts";

export interface LegacyManifest {
  /** Schema version; 1 in a store that was never compacted, whatever its records are. */
  readonly version: number;
  readonly currentSnapshot: string;
  readonly activeOps: string;
  /** Log path by agentId. */
  readonly activeAgentOps: Readonly<Record<string, string>>;
  readonly archiveSegments: readonly string[];
  readonly stats: {
    readonly activeRecords: number;
    readonly archivedRecords: number;
    readonly opsCount: number;
    readonly created: string;
    readonly lastCheckpoint: string;
  };
}

/** How each of our manifests begins: spares parsing it twice. */
const OURS = '{"format":';

/**
 * The manifest of a store that the original wrote; undefined when the bytes are, or were meant to
 * be, one of ours.
 * @throws CorruptionError in the original's words, when they are neither
 */
export function recognizeLegacyManifest(
  bytes: Uint8Array,
  path: string,
): LegacyManifest | undefined {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("utf8");
  if (text.startsWith(OURS)) return undefined;
  const value = parse(text, path);
  if (typeof value === "object" && value !== null && ("kind" in value || "format" in value)) {
    return undefined;
  }
  try {
    const { version, currentSnapshot, activeOps, activeAgentOps, archiveSegments, stats } =
      validateManifest(value);
    checkInside([currentSnapshot, activeOps, ...Object.values(activeAgentOps ?? {})]);
    return {
      version,
      currentSnapshot,
      activeOps,
      activeAgentOps: { ...activeAgentOps },
      archiveSegments,
      stats,
    };
  } catch (cause) {
    if (!(cause instanceof OpslogError)) throw cause;
    throw new CorruptionError(`${path}: ${cause.message}`, { path, cause });
  }
}

/** Every log it names, each once. */
export function legacyLogPaths({ activeOps, activeAgentOps }: LegacyManifest): string[] {
  return [...new Set([activeOps, ...Object.values(activeAgentOps)])];
}

function parse(text: string, path: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new CorruptionError(`${path} at byte 0: not JSON`, { path, offset: 0, cause });
  }
}

/** A manifest must not make us read anything outside the store. */
function checkInside(paths: readonly string[]): void {
  paths.forEach(checkPath);
}
