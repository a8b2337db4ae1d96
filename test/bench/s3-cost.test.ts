import { describe, expect, test } from "vitest";
import {
  costOf,
  type CountedRequest,
  DOLLARS_PER_MILLION,
  dollarsPerMillion,
  kindOf,
  roundTripDepth,
} from "../../bench/s3/cost.ts";

function request(start: number, end: number | undefined, client = 0): CountedRequest {
  const counts = { bytesUp: 1, bytesDown: 10, status: end === undefined ? undefined : 200 };
  return { kind: "GET", client, startOrdinal: start, endOrdinal: end, ...counts };
}

describe("dependent round trips", () => {
  test("of no request are none", () => {
    expect(roundTripDepth([])).toBe(0);
  });

  test("requests that overlap are one", () => {
    expect(roundTripDepth([request(1, 4), request(2, 5), request(3, 6)])).toBe(1);
  });

  test("requests that wait for one another are as many as there are", () => {
    expect(roundTripDepth([request(5, 6), request(1, 2), request(3, 4)])).toBe(3);
  });

  test("the longest chain counts, not the number of waves that began together", () => {
    // One long request beside a chain of two, and one that waits for both.
    expect(roundTripDepth([request(1, 6), request(2, 3), request(4, 5), request(7, 8)])).toBe(3);
  });

  test("a request that never ended is the last of its chain", () => {
    expect(roundTripDepth([request(1, 2), request(3, undefined), request(4, 5)])).toBe(2);
  });
});

describe("the cost of a call", () => {
  test("sums bytes, counts kinds, and distinguishes failures", () => {
    const cost = costOf([request(1, 2), { ...request(3, 4), kind: "PUT", status: 503 }]);
    expect(cost).toMatchObject({ trips: 2, bytesDown: 20, bytesUp: 2, failed: 1 });
    expect(cost.requests).toMatchObject({ GET: 1, PUT: 1, LIST: 0 });
  });

  test("counts a status of the client's making, as 304 or 412, as an answer", () => {
    expect(costOf([{ ...request(1, 2), status: 304 }]).failed).toBe(0);
    expect(costOf([request(1, undefined)]).failed).toBe(1);
  });

  test("of independent clients that take turns is as deep as that of one", () => {
    const turns = [request(1, 2, 0), request(3, 4, 1), request(5, 6, 0), request(7, 8, 2)];
    expect(costOf(turns).trips).toBe(2);
  });
});

describe("the kind of a request", () => {
  test("is LIST for a GET of a listing, DELETE for a POST that deletes", () => {
    expect(kindOf("GET", new URLSearchParams("list-type=2&prefix=x"))).toBe("LIST");
    expect(kindOf("GET", new URLSearchParams("x-id=GetObject"))).toBe("GET");
    expect(kindOf("POST", new URLSearchParams("delete="))).toBe("DELETE");
    expect(kindOf("POST", new URLSearchParams("uploads="))).toBe("POST");
  });

  test("that S3 does not know is an error", () => {
    expect(() => kindOf("PATCH", new URLSearchParams())).toThrow("PATCH");
  });
});

describe("dollars", () => {
  test("of a million operations are the list prices of their requests", () => {
    expect(dollarsPerMillion({})).toBe(0);
    expect(dollarsPerMillion({ GET: 2, LIST: 1 })).toBeCloseTo(5.8);
    expect(dollarsPerMillion({ PUT: 3, DELETE: 1_000, HEAD: 5 })).toBeCloseTo(17);
  });

  test("a listing costs as much as a write, and a deletion nothing", () => {
    expect(DOLLARS_PER_MILLION.LIST).toBe(DOLLARS_PER_MILLION.PUT);
    expect(DOLLARS_PER_MILLION.DELETE).toBe(0);
  });
});
