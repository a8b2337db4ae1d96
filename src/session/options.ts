/** Options of `open`: names, defaults, checks. */
import {
  type CostBudget,
  type ListPrices,
  type PriceOptions,
  resolveBudget,
  resolvePrices,
} from "../core/cost.ts";
import type { Fields } from "../core/operation.ts";
import { callback, checkFlag, checkNames, positive, warningsTo, wrong } from "../core/options.ts";
import {
  type ProtocolSettings,
  resolveSettings,
  SETTING_NAMES,
  type SettingOptions,
} from "../core/settings.ts";
import { checkBackend } from "../engine/resolve-backend.ts";
import type { StorageBackend } from "../storage/backend.ts";
import type { Backlog } from "./backlog-alarm.ts";
import { checkFreshness, type Freshness } from "../view/freshness.ts";
import type { WriteMode } from "./commit-queue.ts";

/** Every option; `undefined` means the default. */
export interface StoreOptions<T = Fields> extends SettingOptions {
  /** Compact when this many operations are in the log. Default 100; never under `skipLoad`. */
  readonly checkpointThreshold?: number | undefined;
  /** Compact on `close` when the log holds operations. Default true; false under `skipLoad`. */
  readonly checkpointOnClose?: boolean | undefined;
  /** Schema version that records are written under. Default 1. */
  readonly version?: number | undefined;
  /** Turns a record of an older schema version into one of `version`; pure. */
  readonly migrate?: ((record: unknown, fromVersion: number) => T) | undefined;
  /** No lock, no writes of any kind. Default false. */
  readonly readOnly?: boolean | undefined;
  /** Load nothing at open; records are read one by one. Default false. */
  readonly skipLoad?: boolean | undefined;
  /**
   * When a write resolves. "immediate": once it is durable. "group": once it is buffered; the one
   * that fills the buffer waits for the flush. "async": never waits. With `agentId` always
   * "immediate", with a warning. Default "immediate".
   */
  readonly writeMode?: WriteMode | undefined;
  /** Operations that fill the buffer of "group" and "async". Default 50; 0 is the default. */
  readonly groupCommitSize?: number | undefined;
  /** How long the first operation of a buffer waits for others. Default 100; 0 is the default. */
  readonly groupCommitMs?: number | undefined;
  /** Multi-writer mode: any non-empty string up to 256 characters. Default: single writer. */
  readonly agentId?: string | undefined;
  /** The medium. Default `new FsBackend()`. */
  readonly backend?: StorageBackend | undefined;
  /**
   * Records handed out are deeply frozen: changing one throws a TypeError ("Cannot assign to read only
   * property"). Copy it (`{ ...record }`, `structuredClone`), or set false for copies that may be
   * changed; `Store<DeepReadonly<T>>` lets the compiler report it. Default true.
   */
  readonly freezeRecords?: boolean | undefined;
  /** Synchronous reads of what is not resident throw instead of answering "absent". Default false. */
  readonly strictHydration?: boolean | undefined;
  /** `set`/`delete` of a non-resident id do not look the previous record up. Default false. */
  readonly blindWrites?: boolean | undefined;
  /**
   * What the store opens on, and what its asynchronous reads answer from; see `Freshness`. A store
   * that writes looks for real before its first flush. Default "strong".
   */
  readonly freshness?: Freshness | undefined;
  /** What to do with log that cannot be read: warn and continue, or throw. Default "skip". */
  readonly onCorrupt?: "skip" | "throw" | undefined;
  /** Called with each problem that the store recovered from. Default: one line on stderr. */
  readonly onWarning?: ((message: string) => void) | undefined;
  /** For `stats().cost.usd`, on every medium. Default: S3 Standard in us-east-1 (`DEFAULT_PRICES`). */
  readonly prices?: PriceOptions | undefined;
  /** What this store may cost from `open` to `close`. Default: no bound. */
  readonly costBudget?: CostBudget | undefined;
  /**
   * Live segments of the log above which a view is a backlog: each costs its share of a LIST at
   * every open, and a GET where its records are loaded. Default 1,000; Infinity for never.
   */
  readonly backlogSegments?: number | undefined;
  /**
   * Called by `open` and by each refresh that finds a backlog, while they continue: the place to
   * start a compaction. The store does not compact because of it. A promise that it returns is awaited by `close`;
   * what it fails with goes to `onWarning`. Default: one warning. In a Lambda function it is the
   * place to start the scheduled compactor out of turn, with an asynchronous invocation (`Lambda
   * Invoke` with the invocation type "Event"). Many stores may do so at once: all but one of the
   * compactors then find the lease taken and end after a few requests.
   */
  readonly onBacklog?: ((backlog: Backlog) => void | Promise<void>) | undefined;
}

export interface ResolvedOptions {
  readonly checkpointThreshold: number;
  readonly checkpointOnClose: boolean;
  readonly version: number;
  readonly migrate: ((record: unknown, fromVersion: number) => unknown) | undefined;
  readonly readOnly: boolean;
  readonly skipLoad: boolean;
  readonly writeMode: WriteMode;
  readonly groupCommitSize: number;
  readonly groupCommitMs: number;
  /** "" in single-writer mode. */
  readonly agentId: string;
  readonly backend: StorageBackend | undefined;
  readonly freezeRecords: boolean;
  readonly strictHydration: boolean;
  readonly blindWrites: boolean;
  readonly freshness: Freshness;
  readonly onCorrupt: "skip" | "throw";
  readonly onWarning: (message: string) => void;
  readonly prices: ListPrices;
  readonly costBudget: CostBudget | undefined;
  readonly backlogSegments: number;
  readonly onBacklog: ((backlog: Backlog) => void | Promise<void>) | undefined;
  readonly settings: ProtocolSettings;
}

const AGENT_ID_MAX = 256;
const DEFAULT_CHECKPOINT_THRESHOLD = 100;
const NAMES: ReadonlySet<string> = new Set<string>([
  ...SETTING_NAMES,
  "checkpointThreshold",
  "checkpointOnClose",
  "version",
  "migrate",
  "readOnly",
  "skipLoad",
  "writeMode",
  "groupCommitSize",
  "groupCommitMs",
  "agentId",
  "backend",
  "freezeRecords",
  "strictHydration",
  "blindWrites",
  "freshness",
  "onCorrupt",
  "onWarning",
  "prices",
  "costBudget",
  "backlogSegments",
  "onBacklog",
]);

/** @throws InvalidArgumentError naming the option, what was found and what was expected */
export function resolveOptions<T>(options: StoreOptions<T> = {}): ResolvedOptions {
  checkNames(options, NAMES);
  const skipLoad = flag(options, "skipLoad", false);
  const agentId = checkAgentId(options.agentId);
  const onWarning = warningsTo(options.onWarning);
  const { onCorrupt = "skip" } = options;
  if (onCorrupt !== "skip" && onCorrupt !== "throw")
    throw wrong("onCorrupt", '"skip" or "throw"', onCorrupt);
  return {
    checkpointThreshold:
      skipLoad && options.checkpointThreshold === undefined
        ? Number.POSITIVE_INFINITY
        : positive(
            options.checkpointThreshold,
            "checkpointThreshold",
            DEFAULT_CHECKPOINT_THRESHOLD,
          ),
    checkpointOnClose: flag(options, "checkpointOnClose", !skipLoad),
    version: positive(options.version, "version", 1, Number.MAX_SAFE_INTEGER),
    migrate: callback(options.migrate, "migrate"),
    readOnly: flag(options, "readOnly", false),
    skipLoad,
    writeMode: resolveWriteMode(options.writeMode, agentId, onWarning),
    groupCommitSize: positive(options.groupCommitSize || undefined, "groupCommitSize", 50),
    groupCommitMs: positive(options.groupCommitMs || undefined, "groupCommitMs", 100),
    agentId,
    backend: checkBackend(options.backend),
    freezeRecords: flag(options, "freezeRecords", true),
    strictHydration: flag(options, "strictHydration", false),
    blindWrites: flag(options, "blindWrites", false),
    freshness: checkFreshness(options.freshness, "strong"),
    onCorrupt,
    onWarning,
    prices: resolvePrices(options.prices),
    costBudget: resolveBudget(options.costBudget),
    backlogSegments: positive(options.backlogSegments, "backlogSegments", 1_000),
    onBacklog: callback(options.onBacklog, "onBacklog"),
    settings: resolveSettings({ ...options }),
  };
}

function checkAgentId(agentId: unknown): string {
  if (agentId === undefined) return "";
  const usable = typeof agentId === "string" && agentId !== "" && agentId.length <= AGENT_ID_MAX;
  if (usable) return agentId;
  const expected = `a non-empty string of at most ${AGENT_ID_MAX} characters`;
  throw wrong("agentId", `${expected}, or undefined for a single writer`, agentId);
}

function resolveWriteMode(
  mode: unknown,
  agentId: string,
  onWarning: (message: string) => void,
): WriteMode {
  if (mode === undefined || mode === "immediate") return "immediate";
  if (mode !== "group" && mode !== "async") {
    throw wrong("writeMode", '"immediate", "group" or "async"', mode);
  }
  if (agentId === "") return mode;
  onWarning(`writeMode "${mode}" is for a single writer; with agentId it is "immediate"`);
  return "immediate";
}

type Flag =
  | "checkpointOnClose"
  | "readOnly"
  | "skipLoad"
  | "freezeRecords"
  | "strictHydration"
  | "blindWrites";

function flag<T>(options: StoreOptions<T>, name: Flag, byDefault: boolean): boolean {
  return checkFlag(options[name], name, byDefault);
}
