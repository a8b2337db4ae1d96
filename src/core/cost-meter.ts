/** Counts the requests of one store, or of one invocation, as they are sent and as they end. */
import { type Cost, DEFAULT_PRICES, type ListPrices, priceOf, type RequestKind } from "./cost.ts";

type Counts = Record<RequestKind, number>;

export class CostMeter {
  readonly #prices: ListPrices;
  readonly #requests = zeroes();
  /** Of calls under way that have not sent their first request yet. */
  readonly #expected = zeroes();
  #bytesIn = 0;
  #bytesOut = 0;
  /** Length of the longest chain of requests whose last one has ended. */
  #endedTrips = 0;
  #trips = 0;

  constructor(prices: ListPrices = DEFAULT_PRICES) {
    this.#prices = prices;
  }

  /** A snapshot; what is under way has no `bytesIn` yet. */
  get cost(): Cost {
    return this.#describe(zeroes());
  }

  /** What the cost would be with one more request, those expected included. */
  costWith(kind: RequestKind): Cost {
    const next = { ...this.#expected };
    next[kind]++;
    return this.#describe(next);
  }

  /** A call was begun that will send a request: it counts in `costWith` until it is undone. */
  expect(kind: RequestKind): () => void {
    let isDone = false;
    this.#expected[kind]++;
    return () => {
      if (!isDone) this.#expected[kind]--;
      isDone = true;
    };
  }

  /** A request is sent. @returns to be called when it has ended, with the bytes that arrived */
  begin(kind: RequestKind, bytesOut: number): (bytesIn: number) => void {
    this.#requests[kind]++;
    this.#bytesOut += bytesOut;
    // The longest chain that ends here goes through whichever request has ended with the longest.
    const trips = this.#endedTrips + 1;
    this.#trips = Math.max(this.#trips, trips);
    return (bytesIn) => {
      this.#bytesIn += bytesIn;
      this.#endedTrips = Math.max(this.#endedTrips, trips);
    };
  }

  /** Bytes of a body that became known only after its request was begun. */
  sent(bytesOut: number): void {
    this.#bytesOut += bytesOut;
  }

  #describe(more: Counts): Cost {
    const requests = zeroes();
    for (const kind of KINDS) requests[kind] = this.#requests[kind] + more[kind];
    const [bytesIn, bytesOut] = [this.#bytesIn, this.#bytesOut];
    const usd = priceOf({ requests, bytesIn }, this.#prices);
    return { requests, bytesIn, bytesOut, roundTrips: this.#trips, usd };
  }
}

const KINDS = ["get", "head", "put", "list", "delete"] as const satisfies RequestKind[];

function zeroes(): Counts {
  return { get: 0, head: 0, put: 0, list: 0, delete: 0 };
}
