/** Options of `open`: names, defaults, checks. */
import { checkCompression, type Compression } from "../core/compression.ts";
import { type CostBudget, type PriceOptions, resolveBudget, resolvePrices } from "../core/cost.ts";
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
  /**
   * How the runs that this store's compactions write are compressed; every kind is read. "zstd" is a
   * little smaller and takes less time, but only Node 22.15 and later can write and read it. Default
   * "deflate".
   */
  readonly compression?: Compression | undefined;
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
   * what it fails with goes to `onWarning`. Default: one warning. `startCompactor` of
   * `opslog-serverless/lambda` makes one that invokes the scheduled compactor out of turn, once for
   * however many processes see the same backlog.
   */
  readonly onBacklog?: ((backlog: Backlog) => void | Promise<void>) | undefined;
}

type OptionName = Exclude<keyof StoreOptions, keyof SettingOptions>;

/** The options as they were given, for defaults that depend on another option. */
type Given = StoreOptions<unknown>;

const AGENT_ID_MAX = 256;

/**
 * Every option beside the protocol settings: how it is checked, and its default. To add one, add it
 * to `StoreOptions` and here; the compiler refuses one without the other.
 */
export const OPTIONS = {
  checkpointThreshold: (value: unknown, name: string, { skipLoad }: Given) =>
    positive(value, name, skipLoad === true ? Infinity : 100),
  checkpointOnClose: (value: unknown, name: string, { skipLoad }: Given) =>
    checkFlag(value, name, skipLoad !== true),
  compression: (value: unknown, name: string) => checkCompression(value, name),
  version: (value: unknown, name: string) => positive(value, name, 1, Number.MAX_SAFE_INTEGER),
  migrate: (value: Given["migrate"], name: string) => callback(value, name),
  readOnly: (value: unknown, name: string) => checkFlag(value, name, false),
  skipLoad: (value: unknown, name: string) => checkFlag(value, name, false),
  writeMode: (value: unknown, _name: string, given: Given) => resolveWriteMode(value, given),
  groupCommitSize: (value: unknown, name: string) => positive(value || undefined, name, 50),
  groupCommitMs: (value: unknown, name: string) => positive(value || undefined, name, 100),
  /** "" in single-writer mode. */
  agentId: (value: unknown) => checkAgentId(value),
  backend: (value: Given["backend"]) => checkBackend(value),
  freezeRecords: (value: unknown, name: string) => checkFlag(value, name, true),
  strictHydration: (value: unknown, name: string) => checkFlag(value, name, false),
  blindWrites: (value: unknown, name: string) => checkFlag(value, name, false),
  freshness: (value: unknown) => (value === undefined ? "strong" : checkFreshness(value)),
  onCorrupt: (value: unknown, name: string) => {
    if (value === undefined || value === "skip" || value === "throw") return value ?? "skip";
    throw wrong(name, '"skip" or "throw"', value);
  },
  onWarning: (value: Given["onWarning"]) => warningsTo(value),
  prices: (value: Given["prices"]) => resolvePrices(value),
  costBudget: (value: Given["costBudget"]) => resolveBudget(value),
  backlogSegments: (value: unknown, name: string) => positive(value, name, 1_000),
  onBacklog: (value: Given["onBacklog"], name: string) => callback(value, name),
} satisfies Record<OptionName, (value: never, name: string, given: Given) => unknown>;

/** Every option with its default filled in, and the protocol settings. */
export type ResolvedOptions = {
  readonly [Name in OptionName]: ReturnType<(typeof OPTIONS)[Name]>;
} & { readonly settings: ProtocolSettings };

const NAMES: ReadonlySet<string> = new Set([...SETTING_NAMES, ...Object.keys(OPTIONS)]);

/** @throws InvalidArgumentError naming the option, what was found and what was expected */
export function resolveOptions<T>(options: StoreOptions<T> = {}): ResolvedOptions {
  checkNames(options, NAMES);
  const given: Given = options;
  const resolved = Object.entries(OPTIONS).map(([name, resolve]) => [
    name,
    (resolve as (value: unknown, name: string, given: Given) => unknown)(
      Reflect.get(given, name),
      name,
      given,
    ),
  ]);
  const settings = resolveSettings({ ...options });
  return { ...(Object.fromEntries(resolved) as Omit<ResolvedOptions, "settings">), settings };
}

function checkAgentId(agentId: unknown): string {
  if (agentId === undefined) return "";
  const usable = typeof agentId === "string" && agentId !== "" && agentId.length <= AGENT_ID_MAX;
  if (usable) return agentId;
  const expected = `a non-empty string of at most ${AGENT_ID_MAX} characters`;
  throw wrong("agentId", `${expected}, or undefined for a single writer`, agentId);
}

function resolveWriteMode(mode: unknown, { agentId, onWarning }: Given): WriteMode {
  if (mode === undefined || mode === "immediate") return "immediate";
  if (mode !== "group" && mode !== "async") {
    throw wrong("writeMode", '"immediate", "group" or "async"', mode);
  }
  if (agentId === undefined) return mode;
  warningsTo(onWarning)(
    `writeMode "${mode}" is for a single writer; with agentId it is "immediate"`,
  );
  return "immediate";
}
