/** What requests cost: kinds, list prices, budgets. Pure. */
import { describeValue } from "./describe.ts";
import { InvalidArgumentError } from "./errors.ts";

/**
 * As object stores bill them. HEAD has the price of GET; what a POST counts as, is what it does: a
 * deletion of many objects is one "delete", the first and last request of an upload are "put".
 */
export type RequestKind = "get" | "head" | "put" | "list" | "delete";

/** What was sent and received. */
export interface Cost {
  /** Requests by kind; repeated and failed ones count. */
  readonly requests: Readonly<Record<RequestKind, number>>;
  /** Bytes of the answers' bodies that arrived. */
  readonly bytesIn: number;
  /** Bytes of the requests' bodies. */
  readonly bytesOut: number;
  /** The longest chain of requests each of which was sent after the one before had ended. */
  readonly roundTrips: number;
  /** US dollars, at the prices given. */
  readonly usd: number;
}

/** US dollars. HEAD costs as much as GET. */
export interface ListPrices {
  /** For a million GET or HEAD requests. */
  readonly getPerMillion: number;
  /** For a million PUT or POST requests. */
  readonly putPerMillion: number;
  /** For a million LIST requests. */
  readonly listPerMillion: number;
  /** For a million DELETE requests. */
  readonly deletePerMillion: number;
  /** Of `bytesIn`, per 2^30 bytes: what leaves the store's region. */
  readonly egressPerGb: number;
}

/** The prices that differ from the defaults. */
export type PriceOptions = { readonly [Name in keyof ListPrices]?: number | undefined };

/**
 * S3 Standard in us-east-1, as listed on https://aws.amazon.com/s3/pricing/ in November 2026: GET
 * $0.40 a million, PUT and LIST $5.00, DELETE free; nothing for data read within the region.
 */
export const DEFAULT_PRICES: ListPrices = {
  getPerMillion: 0.4,
  putPerMillion: 5,
  listPerMillion: 5,
  deletePerMillion: 0,
  egressPerGb: 0,
};

/** Bounds of what a store may cost from its opening to its closing; none where left out. */
export interface CostBudget {
  /** Requests of all kinds. */
  readonly requests?: number | undefined;
  /** US dollars, at `prices`. */
  readonly usd?: number | undefined;
  /**
   * Bytes received. How much a request brings is known when it has arrived: the breach is by the
   * first call after so many bytes.
   */
  readonly bytesIn?: number | undefined;
  /**
   * "warn": calls `onWarning`, once, and continues. "throw": the call rejects with
   * BudgetExceededError before anything is sent. Default "warn".
   */
  readonly onBreach?: "warn" | "throw" | undefined;
}

const BYTES_PER_GB = 2 ** 30;
/** Of a price: sums in binary are not exact, and a budget of three GETs must admit three GETs. */
const DIGITS = 12;
const PRICE_NAMES = [
  "getPerMillion",
  "putPerMillion",
  "listPerMillion",
  "deletePerMillion",
  "egressPerGb",
] as const satisfies (keyof ListPrices)[];
const LIMIT_NAMES = ["requests", "usd", "bytesIn"] as const satisfies (keyof CostBudget)[];

/** US dollars. */
export function priceOf(
  { requests, bytesIn }: Pick<Cost, "requests" | "bytesIn">,
  prices: ListPrices,
): number {
  const perMillion =
    (requests.get + requests.head) * prices.getPerMillion +
    requests.put * prices.putPerMillion +
    requests.list * prices.listPerMillion +
    requests.delete * prices.deletePerMillion;
  const usd = perMillion / 1_000_000 + (bytesIn / BYTES_PER_GB) * prices.egressPerGb;
  return Number(usd.toPrecision(DIGITS));
}

/** @param spent including the request in question. @returns in which respect it is too much */
export function breachOf(
  budget: CostBudget,
  spent: Pick<Cost, "requests" | "bytesIn" | "usd">,
): string | undefined {
  const { requests: requestsMax, usd: usdMax, bytesIn: bytesInMax } = budget;
  const requests = Object.values(spent.requests).reduce((sum, count) => sum + count, 0);
  if (requestsMax !== undefined && requests > requestsMax) {
    return `requests: ${requests} of at most ${requestsMax}`;
  }
  if (usdMax !== undefined && spent.usd > usdMax) {
    return `usd: ${spent.usd} of at most ${usdMax}`;
  }
  if (bytesInMax !== undefined && spent.bytesIn >= bytesInMax) {
    return `bytesIn: ${spent.bytesIn} have arrived, at most ${bytesInMax} may`;
  }
  return undefined;
}

/** Fills in defaults. @throws InvalidArgumentError naming the option, found and expected */
export function resolvePrices(prices: unknown): ListPrices {
  const resolved: Record<keyof ListPrices, number> = { ...DEFAULT_PRICES };
  const given = checkObject("prices", prices, PRICE_NAMES);
  for (const name of PRICE_NAMES) {
    resolved[name] = amount(`prices.${name}`, given[name]) ?? DEFAULT_PRICES[name];
  }
  return resolved;
}

/** @throws InvalidArgumentError naming the option, found and expected */
export function resolveBudget(budget: unknown): CostBudget | undefined {
  if (budget === undefined) return undefined;
  const { onBreach = "warn", ...limits } = checkObject("costBudget", budget, [
    ...LIMIT_NAMES,
    "onBreach",
  ]);
  if (onBreach !== "warn" && onBreach !== "throw") {
    throw wrong("costBudget.onBreach", '"warn" or "throw"', onBreach);
  }
  const resolved: { [Name in (typeof LIMIT_NAMES)[number]]?: number | undefined } = {};
  for (const name of LIMIT_NAMES) resolved[name] = amount(`costBudget.${name}`, limits[name]);
  return { ...resolved, onBreach };
}

function checkObject(
  option: string,
  found: unknown,
  names: readonly string[],
): Readonly<Record<string, unknown>> {
  if (found === undefined) return {};
  if (typeof found !== "object" || found === null) throw wrong(option, "an object", found);
  const unknown = Object.keys(found).find((name) => !names.includes(name));
  if (unknown === undefined) return { ...found };
  throw new InvalidArgumentError(
    `option ${option}: unknown name ${JSON.stringify(unknown)}; known are ${names.join(", ")}`,
  );
}

function amount(name: string, found: unknown): number | undefined {
  if (found === undefined) return undefined;
  if (typeof found === "number" && found >= 0) return found;
  throw wrong(name, "a non-negative number", found);
}

function wrong(name: string, expected: string, found: unknown): InvalidArgumentError {
  return new InvalidArgumentError(
    `option ${name}: expected ${expected}, found ${describeValue(found)}`,
  );
}
