/** What a call costs, as the recording proxy saw it. */
import { roundTrips } from "../support/recording-proxy.ts";
import type { RecordedRequest, RecordingProxy } from "../support/recording-proxy.ts";

export interface Cost {
  /** "PUT 200" …, in the order they began. */
  readonly requests: readonly string[];
  /** Dependent ones: how often the caller waited for the network. */
  readonly trips: number;
  readonly kibDown: number;
}

export async function countCost(proxy: RecordingProxy, act: () => Promise<unknown>): Promise<Cost> {
  proxy.reset();
  await act();
  const bytesDown = proxy.requests.reduce((sum, request) => sum + request.bytesDown, 0);
  const requests = proxy.requests.map(describeRequest);
  return { requests, trips: roundTrips(proxy.requests), kibDown: bytesDown / 1024 };
}

export function describeCost({ requests, trips, kibDown }: Cost): string {
  if (requests.length === 0) return "no request";
  return `${summarize(requests)}; ${trips} round trips, ${kibDown.toFixed(1)} KiB down`;
}

/** Equal ones together when there are many. */
function summarize(requests: readonly string[]): string {
  if (requests.length <= 8) return requests.join(", ");
  const counts = new Map<string, number>();
  for (const request of requests) counts.set(request, (counts.get(request) ?? 0) + 1);
  return [...counts].map(([request, count]) => `${count} × ${request}`).join(", ");
}

function describeRequest({ method, query, status }: RecordedRequest): string {
  return `${query.has("list-type") ? "LIST" : method} ${status ?? "-"}`;
}
