/** Reads sources as text and reports what breaks the house rules. Pure, except for `readSources`. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

export interface Source {
  /** Relative to `src`. */
  readonly path: string;
  readonly text: string;
}

/** A file imports its own room, or a room of a lower rank. A nested room has a rank of its own. */
export const RANKS: Readonly<Record<string, number>> = {
  core: 0,
  format: 1,
  storage: 1,
  "storage/fs": 2,
  log: 3,
  runs: 3,
  // S3 as a medium: the requests, the operations on objects, and two clients that send them.
  "s3/requests": 3,
  "s3/objects": 4,
  s3: 5,
  "s3/light": 6,
  "s3/sdk": 6,
  "s3/index.ts": 7,
  // Presents stores of another format as log and runs.
  legacy: 4,
  // What programs of the original import beside the store.
  "legacy/api": 5,
  // A view is a manifest together with a listing of the log.
  view: 5,
  // What compactions and open stores share.
  engine: 6,
  compaction: 7,
  // From a view to its records.
  read: 7,
  // What exists while a store is open.
  session: 8,
  store: 9,
  lambda: 10,
  powertools: 10,
  "lambda/light": 11,
  // The package's front doors.
  "index.ts": 12,
  testing: 12,
};

/** Packages of others, and the only room that may import them. */
const PACKAGE_ROOMS: readonly { readonly pattern: RegExp; readonly room: string }[] = [
  { pattern: /^@(aws-sdk|smithy)\//, room: "s3" },
  { pattern: /^aws-lambda$/, room: "lambda" },
  { pattern: /^@aws-lambda-powertools\//, room: "powertools" },
  {
    pattern: /^(?!node:|@aws-sdk\/|@smithy\/|@aws-lambda-powertools\/|aws-lambda$)[^.]/,
    room: "no room",
  },
];

/** A statement that imports or passes on, over several lines too; or an import in an expression. */
const IMPORT =
  /^[ \t]*(?:import|export)\b(?:[^;"'`(]*?\bfrom)?\s*["']([^"'\n]+)["']|\bimport\(\s*["']([^"'\n]+)["']/gm;

const RUNTIME = "core/runtime.ts";
/** Time, randomness and what works in one realm only, and their replacements. */
const BANNED: readonly { readonly pattern: RegExp; readonly use: string }[] = [
  { pattern: /\bDate\.now\b/, use: "runtime.nowMs()" },
  { pattern: /\bnew Date\(\)/, use: "new Date(runtime.nowMs())" },
  { pattern: /\bDate\(\)/, use: "new Date(runtime.nowMs())" },
  { pattern: /\bperformance\b/, use: "runtime.steadyMs()" },
  { pattern: /\bhrtime\b/, use: "runtime.nowMs()" },
  { pattern: /\bset(Timeout|Interval)\b/, use: "runtime.sleep() or runtime.idle()" },
  { pattern: /\bAbortSignal\.timeout\b/, use: "runtime.sleep() with an AbortController" },
  { pattern: /\bMath\.random\b/, use: "runtime.random()" },
  { pattern: /\brandom(Bytes|UUID|Int|FillSync)\b/, use: "runtime.randomHex()" },
  { pattern: /\bgetRandomValues\b/, use: "runtime.randomHex()" },
  {
    pattern:
      /\binstanceof ((Aggregate|Range|Syntax|Type|URI)?Error|Promise|Uint8Array|Buffer|Date|Map|Set)\b/,
    use: "core/realm.ts",
  },
];

/** A call that puts every item of an array on the stack: RangeError from some 120,000 on. */
const SPREADS: readonly { readonly pattern: RegExp; readonly use: string }[] = [
  {
    pattern: /\.(push|unshift)\(\s*(?:[^(){]*,\s*)?\.\.\./,
    use: "append() of core/bulk.ts, or a loop",
  },
  { pattern: /\.splice\([^()]*\.\.\./, use: "slices of the array, or a loop" },
  {
    pattern: /\bMath\.(max|min|hypot)\(\s*(?:[^(){]*,\s*)?\.\.\./,
    use: "maxOf() or minOf() of core/bulk.ts",
  },
  { pattern: /\bfromC(harCode|odePoint)\(\.\.\./, use: "a Buffer's toString()" },
  { pattern: /\b(?<!Reflect)\.apply\(/, use: "a loop: apply() puts all arguments on the stack" },
  { pattern: /\.concat\(\.\.\./, use: "flat() or flatMap()" },
];

/** Spreads of arrays of any length into a call, in sources of any folder. */
export function findSpreads(sources: readonly Source[]): string[] {
  return sources.flatMap((source) => patternFaults(source, SPREADS));
}

export const FILE_LINES_MAX = 400;

export function readSources(directory: string): Source[] {
  const paths = readdirSync(directory, { recursive: true, encoding: "utf8" });
  return paths
    .filter((path) => path.endsWith(".ts"))
    .toSorted()
    .map((path) => ({ path, text: readFileSync(join(directory, path), "utf8") }));
}

/** One line for each fault, naming file and line and saying what to do instead. */
export function findFaults(sources: readonly Source[]): string[] {
  return sources.flatMap((source) => [
    ...roomFaults(source),
    ...importFaults(source),
    ...bannedFaults(source),
    ...lengthFaults(source),
  ]);
}

/** The folder of a file; the file itself where it has a rank of its own, or lies in no folder. */
function roomOf(path: string): string {
  const folder = path.split("/").slice(0, -1).join("/");
  return Object.hasOwn(RANKS, path) || folder === "" ? path : folder;
}

function rankOf(room: string): number | undefined {
  return Object.hasOwn(RANKS, room) ? RANKS[room] : undefined;
}

function roomFaults({ path }: Source): string[] {
  if (rankOf(roomOf(path)) !== undefined) return [];
  return [`${path}: room '${roomOf(path)}' has no rank; give it one in test/support/tidy.ts`];
}

/** Comments become blanks, so that lines and columns stay. */
function withoutComments(text: string): string {
  const blank = (comment: string): string => comment.replace(/[^\n]/g, " ");
  return text.replace(/\/\*[^]*?\*\//g, blank).replace(/(?<![:"'`/])\/\/[^\n]*/g, blank);
}

function lineOf(text: string, at: number): number {
  return text.slice(0, at).split("\n").length;
}

function importFaults({ path, text }: Source): string[] {
  const code = withoutComments(text);
  const faults: string[] = [];
  for (const match of code.matchAll(IMPORT)) {
    const fault = importFault(path, match[1] ?? match[2] ?? "");
    if (fault !== undefined) faults.push(`${path}:${lineOf(code, match.index)}: ${fault}`);
  }
  return faults;
}

function importFault(path: string, target: string): string | undefined {
  if (!target.startsWith(".")) {
    const rule = PACKAGE_ROOMS.find(({ pattern }) => pattern.test(target));
    if (rule === undefined || rule.room === path.split("/", 1)[0]) return undefined;
    return `imports ${target}, which ${rule.room} may import`;
  }
  if (!target.endsWith(".ts")) return `imports ${target} without its ending .ts`;
  const resolved = join(path, "..", target);
  const [own, other] = [roomOf(path), roomOf(resolved)];
  if (own === other) return undefined;
  const [ownRank, otherRank] = [rankOf(own), rankOf(other)];
  if (otherRank === undefined) return `imports ${target}, which lies in no room of src`;
  if (ownRank !== undefined && otherRank < ownRank) return undefined;
  return `${own} (rank ${ownRank}) imports ${other} (rank ${otherRank}): only lower ranks are allowed`;
}

function bannedFaults(source: Source): string[] {
  return source.path === RUNTIME ? [] : patternFaults(source, BANNED);
}

function patternFaults(
  { path, text }: Source,
  banned: readonly { readonly pattern: RegExp; readonly use: string }[],
): string[] {
  const code = withoutComments(text);
  return banned.flatMap(({ pattern, use }) =>
    [...code.matchAll(new RegExp(pattern, "g"))].map(
      ({ 0: found, index }) => `${path}:${lineOf(code, index)}: ${found}: use ${use}`,
    ),
  );
}

function lengthFaults({ path, text }: Source): string[] {
  const lines = text.replace(/\n$/, "").split("\n").length;
  if (lines <= FILE_LINES_MAX) return [];
  return [`${path}: ${lines} lines, at most ${FILE_LINES_MAX}: divide it by what it is about`];
}

/** Codes that `errors.ts` declares. */
export function errorCodes(errorsSource: string): string[] {
  return [...errorsSource.matchAll(/override readonly code = "([A-Z_]+)"/g)].map(
    ([, code]) => code ?? "",
  );
}
