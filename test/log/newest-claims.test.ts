import fc from "fast-check";
import { expect, test } from "vitest";
import { laneOf } from "../../src/core/lane.ts";
import { type Claim, encodeClaim, namesOf, type Recent } from "../../src/format/claim.ts";
import { decodeClaim } from "../../src/format/claim-decoder.ts";
import { filterHash } from "../../src/format/paths.ts";
import { NewestClaims } from "../../src/log/newest-claims.ts";
import { absentAt, guarded, nonce } from "../support/claims.ts";

/** The tag decides the lane. */
const idOf = (at: number): string => `{tag}-${at}`;
const LANE = laneOf(idOf(0));
const IDS = Array.from({ length: 6 }, (_, at) => idOf(at));

function claimOf(n: number, ids: readonly string[], recent: Recent): Claim {
  const head = { lane: LANE, n, nonce: nonce(), recent };
  if (ids.length === 0) return { kind: "seal", ...head };
  const operations = ids.map((id) => guarded(id, absentAt(0), { n }));
  return { kind: "data", ...head, reads: [], operations };
}

function note(known: NewestClaims, claim: Claim): void {
  known.note(claim, namesOf(claim));
}

test("a claim tells of those before it what they name, however many there were and whoever knows them", () => {
  const steps = fc.array(fc.subarray(IDS), { minLength: 1, maxLength: 150 });
  fc.assert(
    fc.property(steps, fc.integer({ min: 1, max: 150 }), (all, missed) => {
      const known = new NewestClaims();
      const newest = new Map<string, number>();
      for (const [at, ids] of all.entries()) {
        const n = at + 1;
        const recent = known.before({ lane: LANE, n });
        // One that did not see the claim before knows nothing of any.
        expect(recent.from).toBe(n - 1 === missed ? n : Math.max(1, n - 64, missedBefore(n)));
        for (const id of IDS) {
          const number = newest.get(id) ?? 0;
          expect(recent.ids.get(filterHash(id))).toBe(number >= recent.from ? number : undefined);
        }
        const claim = claimOf(n, ids, recent);
        expect(
          decodeClaim(
            encodeClaim(
              claim,
              ids.map(() => `{"n":${n}}`),
            ),
            "x",
            claim,
          ),
        ).toEqual(claim);
        if (n !== missed) note(known, claim);
        for (const id of ids) newest.set(id, n);
      }

      function missedBefore(n: number): number {
        return n > missed ? missed + 1 : 1;
      }
    }),
  );
});

test("claims that name very many records are told of in full, or not at all", () => {
  const known = new NewestClaims();
  const many = Array.from({ length: 200 }, (_, at) => idOf(at));
  note(known, claimOf(1, many, { from: 1, ids: new Map() }));
  expect(known.before({ lane: LANE, n: 2 })).toMatchObject({ from: 1, ids: { size: 200 } });
  const others = Array.from({ length: 100 }, (_, at) => idOf(200 + at));
  note(known, claimOf(2, others, known.before({ lane: LANE, n: 2 })));
  const { from, ids } = known.before({ lane: LANE, n: 3 });
  expect([from, ids.size]).toEqual([2, 100]);
  expect([...ids.values()]).toEqual(others.map(() => 2));
});

test("an older claim, or one of another lane, changes nothing", () => {
  const known = new NewestClaims();
  note(known, claimOf(5, [IDS[0] ?? ""], { from: 5, ids: new Map() }));
  note(known, claimOf(4, [IDS[1] ?? ""], { from: 4, ids: new Map() }));
  expect([...known.before({ lane: LANE, n: 6 }).ids.values()]).toEqual([5]);
  expect(known.before({ lane: LANE + 1, n: 6 })).toEqual({ from: 6, ids: new Map() });
});
