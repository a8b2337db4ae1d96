/** No regular expression of the sources takes more than linear time, whatever it is given. */
import { expect, test } from "vitest";
import { readSources } from "../support/tidy.ts";
import { REPOSITORY } from "../original/golden/golden-store.ts";

/** A literal: what stands before it cannot end an operand, so it is no division. */
const LITERAL =
  /(?<=[(=,:!&|?{}[;]\s*|return\s+)\/(?![*/])((?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\n[])+)\/([dgimsuvy]*)/g;
/** Characters that the repeated parts of the sources' expressions match, and what may end them. */
const PUMPS = [
  "/",
  "a",
  "0",
  "a0",
  "-0",
  "1-1-",
  "A",
  "AAIA",
  ".",
  "\\",
  '"',
  " ",
  "\u0001",
  "ops/agent-1-",
  "/batch-1-1",
  "arn:s3",
  '"crc":"00000000"}',
  "s/",
  "é",
];
const HEADS = [
  "",
  "/",
  "ops/agent-",
  "archive/archive-",
  "s3://",
  "arn:a:s3",
  '"',
  "W/",
  '{"format":',
  "/batch-",
];
const TAILS = ["", "!", "\n", "/x", ".jsonl!"];
const ENDS = HEADS.flatMap((head) => TAILS.map((tail) => [head, tail] as const));
const [SHORT, LONG] = [4_000, 32_000];

function literals(): { readonly path: string; readonly regex: RegExp }[] {
  return readSources(`${REPOSITORY}/src`).flatMap(({ path, text }) => {
    const code = text.replace(/^\s*(\/\*\*|\*|\/\/).*$/gm, "");
    return [...code.matchAll(LITERAL)].map(([, source = "", flags = ""]) => ({
      path,
      regex: new RegExp(source, flags),
    }));
  });
}

/** The best of several, in ms: others use this machine, too. */
function timeOf(regex: RegExp, text: string): number {
  let best = Infinity;
  for (let round = 0; round < 3 && best > 0.5; round++) {
    const startedMs = performance.now();
    text.replace(regex, "");
    best = Math.min(best, performance.now() - startedMs);
  }
  return best;
}

test("the sources' literals are found", () => {
  const found = literals().map(({ regex }) => regex.source);
  expect(found.length).toBeGreaterThan(30);
  expect(found).toContain("^[0-9a-f]{64}$");
});

/** A text on which the expression takes more than linear time; the first is enough. */
function slowOn(regex: RegExp): string | undefined {
  for (const pump of PUMPS) {
    for (const [head, tail] of ENDS) {
      const text = (length: number): string => head + pump.repeat(length / pump.length) + tail;
      const short = timeOf(regex, text(SHORT));
      // Eight times the text: linear takes 8 times as long, quadratic 64 times.
      if (short < 0.5) continue;
      const long = timeOf(regex, text(LONG));
      if (long > 50 && long > short * 24) return JSON.stringify(head + pump + tail);
    }
  }
  return undefined;
}

test("one that is quadratic would be found", { timeout: 60_000 }, () => {
  expect(slowOn(/\/+$/)).toBeDefined();
});

test("each of them is linear in what it is given", { timeout: 60_000 }, () => {
  const slow = literals().flatMap(({ path, regex }) => {
    const text = slowOn(regex);
    return text === undefined ? [] : [`${path}: ${regex.source} on ${text}`];
  });
  expect(slow).toEqual([]);
});
