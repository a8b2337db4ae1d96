/** Lines that a merge moves are what is decoded of the same bytes, and refused where these are. */
import fc from "fast-check";
import { expect, test } from "vitest";
import type { RunEntry } from "../../src/core/version.ts";
import { decodeRunLines, encodeRunLine } from "../../src/format/run-codec.ts";
import { isTombstone, storedRunLines, StoredLine } from "../../src/format/stored-line.ts";
import { flip, record, SEED, sortedEntries, tombstone } from "../runs/support.ts";
import { propertyRuns } from "../support/effort.ts";

const PLACE = { path: "a run", offset: 7 };

type Decode = typeof decodeRunLines;

/** What is read, or why nothing is. */
function outcome(decode: Decode, bytes: Buffer, isPacked: boolean): unknown {
  try {
    return decode(bytes, { ...PLACE, isPacked }, "").map((entry) => {
      const { id, version, schemaVersion, text, since } = entry;
      return { id, version, schemaVersion, text, since, isTombstone: isTombstone(entry) };
    });
  } catch (error) {
    return String(error);
  }
}

function linesOf(entries: readonly RunEntry[]): Buffer {
  return Buffer.from(entries.map(encodeRunLine).join(""));
}

test("whatever the lines are, and whichever bytes of them are damaged", () => {
  let [stored, refused] = [0, 0];
  fc.assert(
    fc.property(
      sortedEntries(6),
      fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), { maxLength: 2 }),
      fc.boolean(),
      (entries, flips, isPacked) => {
        let bytes = linesOf(entries);
        for (const [at, mask] of flips) bytes = flip(bytes, at % bytes.length, mask);
        const expected = outcome(decodeRunLines, bytes, isPacked);
        expect(outcome(storedRunLines, bytes, isPacked)).toEqual(expected);
        if (typeof expected === "string") refused++;
        else {
          stored += storedRunLines(bytes, PLACE).filter((e) => e instanceof StoredLine).length;
        }
      },
    ),
    { seed: SEED, numRuns: propertyRuns(1_500) },
  );
  expect(stored).toBeGreaterThan(20);
  expect(refused).toBeGreaterThan(30);
});

test("each byte of ordinary lines changed in each bit", () => {
  const { version } = record("d");
  const bytes = linesOf([
    record("a", '{"n":1}'),
    record("b", '["x"]'),
    tombstone("c"),
    { ...record("d", '"x"'), version: { ...version, revision: 12 } },
    { ...record("e", '"x"'), version: { clock: 7, agent: "", writerNonce: "", revision: 1 } },
  ]);
  const stored = storedRunLines(bytes, PLACE).filter((entry) => entry instanceof StoredLine);
  expect(stored).toHaveLength(5);
  for (const at of bytes.keys()) {
    for (let bit = 0; bit < 8; bit++) {
      const damaged = flip(bytes, at, 1 << bit);
      const expected = outcome(decodeRunLines, damaged, false);
      expect(outcome(storedRunLines, damaged, false)).toEqual(expected);
    }
  }
});

test("ordinary lines are left as they are stored, with what may lie behind a deletion", () => {
  for (let length = 1; length < 300; length++) {
    const id = "i".repeat(length);
    for (const text of [undefined, '{"a":"é"}', '"x"', '""', "[]", "{}", "1", "true"]) {
      const bytes = linesOf([record(id, text), record(`${id}j`)]);
      const expected = outcome(decodeRunLines, bytes, false);
      expect(outcome(storedRunLines, bytes, false)).toEqual(expected);
      const [first] = storedRunLines(bytes, PLACE);
      const isOrdinary = text === undefined || /^[{["]/.test(text);
      if (length < 100) expect(first instanceof StoredLine).toBe(isOrdinary);
      const more = Buffer.from(bytes.toString().replace("}\n", "}}\n"));
      expect(outcome(storedRunLines, more, false)).toEqual(outcome(decodeRunLines, more, false));
    }
  }
});
