/**
 * Checks of what the original opslog writes, with its acceptance and its error texts: programs
 * match on them. An accepted value is given back as it is.
 */
import { InvalidArgumentError } from "../core/errors.ts";
import type { Operation } from "../core/operation.ts";

// Not readonly, unlike our own types: programs of the original build and change such values.

/** A whole store in one object, as early versions of the original wrote it. */
export interface Snapshot<T = Record<string, unknown>> {
  /** Version of the format. */
  version: number;
  /** When the snapshot was written, in ISO 8601. */
  timestamp: string;
  /** The records by id. */
  records: Record<string, T>;
}

/** The counts that a manifest holds. */
export interface ManifestStats {
  /** Records that are not archived. */
  activeRecords: number;
  /** Records in the archive. */
  archivedRecords: number;
  /** Operations in the log. */
  opsCount: number;
  /** ISO 8601. */
  created: string;
  /** When the last checkpoint was written, in ISO 8601. */
  lastCheckpoint: string;
}

/** `manifest.json` of the original. */
export interface Manifest {
  /** Version of the format. */
  version: number;
  /** Path of the current snapshot. */
  currentSnapshot: string;
  /** Path of the log that follows the snapshot. */
  activeOps: string;
  /** Multi-writer mode: log path by agentId. */
  activeAgentOps?: Record<string, string>;
  /** Paths of the archive segments. */
  archiveSegments: string[];
  /** Counts at the last checkpoint. */
  stats: ManifestStats;
}

/** One archived period, as the original stores it. */
export interface ArchiveSegment<T = Record<string, unknown>> {
  /** Version of the format. */
  version: number;
  /** Name of the period, as `2026-Q1`. */
  period: string;
  /** When the segment was written, in ISO 8601. */
  timestamp: string;
  /** The archived records by id. */
  records: Record<string, T>;
}

type Fields = Readonly<Record<string, unknown>>;

/** What must hold, and the message of the error if it does not; checked in order. */
interface Rule {
  readonly holds: (fields: Fields) => boolean;
  readonly otherwise: string | ((fields: Fields) => string);
}

const isText = (value: unknown): value is string => typeof value === "string" && value !== "";

const isCount = (value: unknown): value is number =>
  typeof value === "number" && Number.isInteger(value) && value >= 0;

const isFields = (value: unknown): value is Fields =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const text = (name: string, otherwise = `${name} must be a non-empty string`): Rule => ({
  holds: (fields) => isText(fields[name]),
  otherwise,
});

const schemaVersion: Rule = {
  holds: ({ version }) => isCount(version) && version >= 1,
  otherwise: "version must be a positive finite integer",
};

const records: Rule = {
  holds: (fields) => isFields(fields["records"]),
  otherwise: "records must be an object",
};

const OPERATION: readonly Rule[] = [
  text("ts"),
  {
    holds: ({ op }) => op === "set" || op === "delete",
    otherwise: ({ op }) => `op must be "set" or "delete", got "${String(op)}"`,
  },
  text("id"),
  { holds: (fields) => "prev" in fields, otherwise: "missing prev" },
  {
    holds: ({ prev }) => prev === null || isFields(prev),
    otherwise: "prev must be an object or null",
  },
  {
    holds: (fields) => fields["op"] !== "set" || ("data" in fields && fields["data"] !== null),
    otherwise: "set op must have non-null data",
  },
  {
    holds: ({ op, prev }) => op !== "delete" || prev !== null,
    otherwise: "delete op must have non-null prev",
  },
  {
    holds: (fields) => fields["op"] !== "delete" || !("data" in fields),
    otherwise: "delete op must not have data field",
  },
  {
    holds: (fields) =>
      !("encoding" in fields) || fields["encoding"] === "full" || fields["encoding"] === "delta",
    otherwise: ({ encoding }) => `encoding must be "full" or "delta", got "${String(encoding)}"`,
  },
  {
    holds: (fields) => !("agent" in fields) || isText(fields["agent"]),
    otherwise: "agent must be a non-empty string",
  },
  {
    holds: (fields) => !("clock" in fields) || isCount(fields["clock"]),
    otherwise: "clock must be a non-negative integer",
  },
];

const count = (name: string): Rule => ({
  holds: ({ stats }) => isFields(stats) && isCount(stats[name]),
  otherwise: `stats.${name} must be a non-negative integer`,
});

const date = (name: string): Rule => ({
  holds: ({ stats }) => isFields(stats) && isText(stats[name]),
  otherwise: `stats.${name} must be a non-empty string`,
});

const MANIFEST: readonly Rule[] = [
  schemaVersion,
  text("currentSnapshot", "missing currentSnapshot"),
  text("activeOps", "missing activeOps"),
  {
    holds: ({ archiveSegments }) => Array.isArray(archiveSegments),
    otherwise: "archiveSegments must be an array",
  },
  {
    holds: ({ archiveSegments }) => Array.isArray(archiveSegments) && archiveSegments.every(isText),
    otherwise: "archiveSegments entries must be non-empty strings",
  },
  { holds: ({ stats }) => isFields(stats), otherwise: "missing stats" },
  count("activeRecords"),
  count("archivedRecords"),
  count("opsCount"),
  date("created"),
  date("lastCheckpoint"),
  {
    holds: ({ activeAgentOps: logs }) => logs === undefined || isFields(logs),
    otherwise: "activeAgentOps must be an object",
  },
  {
    holds: ({ activeAgentOps: logs }) => !isFields(logs) || Object.values(logs).every(isText),
    otherwise: "activeAgentOps values must be non-empty strings",
  },
];

/** One line of a log. @throws InvalidArgumentError */
export function validateOp<T = Record<string, unknown>>(raw: unknown): Operation<T> {
  check("operation", raw, OPERATION);
  return raw as Operation<T>;
}

/** @throws InvalidArgumentError */
export function validateManifest(raw: unknown): Manifest {
  check("manifest", raw, MANIFEST);
  return raw as Manifest;
}

/** A snapshot in one object. @throws InvalidArgumentError */
export function validateSnapshot<T = Record<string, unknown>>(raw: unknown): Snapshot<T> {
  check("snapshot", raw, [schemaVersion, text("timestamp"), records]);
  return raw as Snapshot<T>;
}

/** @throws InvalidArgumentError */
export function validateArchiveSegment<T = Record<string, unknown>>(
  raw: unknown,
): ArchiveSegment<T> {
  const rules = [schemaVersion, text("period"), text("timestamp"), records];
  check("archive segment", raw, rules);
  return raw as ArchiveSegment<T>;
}

/** @throws InvalidArgumentError for the first rule that does not hold */
function check(kind: string, raw: unknown, rules: readonly Rule[]): void {
  if (!isFields(raw)) throw new InvalidArgumentError(`Invalid ${kind}: not an object`);
  const broken = rules.find(({ holds }) => !holds(raw));
  if (broken === undefined) return;
  const { otherwise } = broken;
  const reason = typeof otherwise === "string" ? otherwise : otherwise(raw);
  throw new InvalidArgumentError(`Invalid ${kind}: ${reason}`);
}
