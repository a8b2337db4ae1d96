/** The options of a scan, checked: pure. */
import { describeValue } from "../core/describe.ts";
import { InvalidArgumentError } from "../core/errors.ts";
import { checkFreshness, type Freshness } from "../view/freshness.ts";
import { checkNames } from "../core/options.ts";
import type { IdRange } from "../read/merged-view.ts";

/** Which records, and in which order. Ids are compared by UTF-16 code unit, as `<` does. */
export interface ScanOptions {
  /** Only ids that begin so; together with `from` and `to`, what is in both. Default: all. */
  readonly prefix?: string | undefined;
  /** Lowest id, inclusive, also in reverse. Default: the first. */
  readonly from?: string | undefined;
  /** End of the range, exclusive, also in reverse. Default: beyond the last. */
  readonly to?: string | undefined;
  /** Highest id first. Default false. */
  readonly reverse?: boolean | undefined;
  /** Give so many records at most, an integer >= 0; default Infinity. A small one reads little. */
  readonly limit?: number | undefined;
  /** Default: the store's own; a "strong" store answers as of its last look unless this says "strong". */
  readonly freshness?: Freshness | undefined;
}

/** A checked scan. */
export interface ResolvedScan {
  readonly range: IdRange & { readonly from: string; readonly reverse: boolean };
  readonly limit: number;
  readonly freshness: Freshness | undefined;
}

const NAMES: ReadonlySet<string> = new Set([
  "prefix",
  "from",
  "to",
  "reverse",
  "limit",
  "freshness",
]);
const CODE_UNIT_MAX = 0xffff;

/** @throws InvalidArgumentError for an unknown name or a value of another type */
export function resolveScan(options: ScanOptions = {}): ResolvedScan {
  checkNames(options, NAMES);
  const { prefix = "", from = "", to, reverse = false, limit = Infinity } = options;
  for (const [name, value] of Object.entries({ prefix, from, to: to ?? "" })) {
    if (typeof value !== "string") throw wrong(name, "a string", value);
  }
  if (typeof reverse !== "boolean") throw wrong("reverse", "a boolean", reverse);
  const isCount = limit === Infinity || (Number.isInteger(limit) && limit >= 0);
  if (!isCount) throw wrong("limit", "an integer >= 0", limit);
  const end = endOfPrefix(prefix);
  const ends = [to, end].filter((each) => each !== undefined);
  const range = {
    from: from > prefix ? from : prefix,
    to: ends.reduce<string | undefined>((a, b) => (a === undefined || b < a ? b : a), undefined),
    reverse,
  };
  const { freshness } = options;
  const required = freshness === undefined ? undefined : checkFreshness(freshness);
  return { range, limit, freshness: required };
}

/** Whether no id at all can be in the range. */
export function isEmptyRange({ from = "", to }: IdRange): boolean {
  return to !== undefined && to <= from;
}

export function isWithin({ from = "", to }: IdRange, id: string): boolean {
  return id >= from && (to === undefined || id < to);
}

/** The lowest text above all that begin with the prefix; undefined when there is none. */
function endOfPrefix(prefix: string): string | undefined {
  for (let length = prefix.length; length > 0; length--) {
    const last = prefix.charCodeAt(length - 1);
    if (last === CODE_UNIT_MAX) continue;
    return prefix.slice(0, length - 1) + String.fromCharCode(last + 1);
  }
  return undefined;
}

function wrong(name: string, expected: string, found: unknown): InvalidArgumentError {
  const what = `option ${name} of scan must be ${expected}`;
  return new InvalidArgumentError(`${what}, found ${describeValue(found)}`);
}
