/** What a call cost, from the requests that a proxy saw. Pure. */
import { maxOf } from "../../src/core/bulk.ts";

export type RequestKind = "GET" | "HEAD" | "PUT" | "LIST" | "POST" | "DELETE";
export const REQUEST_KINDS: readonly RequestKind[] = [
  "GET",
  "HEAD",
  "PUT",
  "LIST",
  "POST",
  "DELETE",
];

/**
 * US dollars per million requests: S3 Standard, us-east-1, https://aws.amazon.com/s3/pricing/, as
 * of November 2026. Transfer inside a region is free.
 */
export const DOLLARS_PER_MILLION: Readonly<Record<RequestKind, number>> = {
  GET: 0.4,
  HEAD: 0.4,
  PUT: 5,
  LIST: 5,
  POST: 5,
  DELETE: 0,
};

export interface CountedRequest {
  readonly kind: RequestKind;
  /** Which of several independent clients sent it. */
  readonly client: number;
  /** Position among all starts and ends seen. */
  readonly startOrdinal: number;
  /** Undefined while under way. */
  readonly endOrdinal: number | undefined;
  readonly bytesUp: number;
  readonly bytesDown: number;
  /** HTTP status; undefined when no answer arrived. */
  readonly status: number | undefined;
}

export interface Cost {
  readonly requests: Readonly<Record<RequestKind, number>>;
  /** Answers of the server that reported a failure of its own, and requests without an answer. */
  readonly failed: number;
  /** Dependent round trips, of the client that had most. */
  readonly trips: number;
  /** Bodies, without headers. */
  readonly bytesDown: number;
  readonly bytesUp: number;
}

export function costOf(requests: readonly CountedRequest[]): Cost {
  const counts = { GET: 0, HEAD: 0, PUT: 0, LIST: 0, POST: 0, DELETE: 0 };
  for (const { kind } of requests) counts[kind]++;
  const sum = (of: (request: CountedRequest) => number): number =>
    requests.reduce((total, request) => total + of(request), 0);
  const clients = [...new Set(requests.map(({ client }) => client))];
  const ofClient = (client: number) => requests.filter((request) => request.client === client);
  return {
    requests: counts,
    failed: requests.filter(({ status = 500 }) => status >= 500).length,
    trips: maxOf(
      clients.map((client) => roundTripDepth(ofClient(client))),
      0,
    ),
    bytesDown: sum(({ bytesDown }) => bytesDown),
    bytesUp: sum(({ bytesUp }) => bytesUp),
  };
}

/** As S3 bills it: a LIST is a GET by its method, and deleting many objects is a POST. */
export function kindOf(method: string, query: URLSearchParams): RequestKind {
  if (method === "GET" && query.has("list-type")) return "LIST";
  if (method === "POST" && query.has("delete")) return "DELETE";
  const kind = REQUEST_KINDS.find((name) => name === method);
  if (kind === undefined) throw new Error(`a request of an unknown kind: ${method}`);
  return kind;
}

/**
 * The number of dependent round trips: the length of the longest chain of requests each of which
 * started after the one before had ended.
 */
export function roundTripDepth(
  requests: readonly Pick<CountedRequest, "startOrdinal" | "endOrdinal">[],
): number {
  const events = requests.flatMap((request) => [
    { request, isStart: true, ordinal: request.startOrdinal },
    { request, isStart: false, ordinal: request.endOrdinal ?? Infinity },
  ]);
  events.sort((a, b) => (a.ordinal < b.ordinal ? -1 : 1));
  const depths = new Map<object, number>();
  let deepestEnded = 0;
  for (const { request, isStart } of events) {
    if (isStart) depths.set(request, deepestEnded + 1);
    else deepestEnded = Math.max(deepestEnded, depths.get(request) ?? 0);
  }
  return deepestEnded;
}

/** Dollars per million operations, when one operation makes these requests. */
export function dollarsPerMillion(
  requests: Readonly<Partial<Record<RequestKind, number>>>,
): number {
  return REQUEST_KINDS.reduce(
    (sum, kind) => sum + (requests[kind] ?? 0) * DOLLARS_PER_MILLION[kind],
    0,
  );
}
