/**
 * The list of mutants fits the sources and the protocol, and a few are looked for here; all of them
 * by `npm run simulate:mutants`.
 */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { hunt } from "./find.ts";
import { applyEdits, readSource } from "./mutant.ts";
import { MUTANTS } from "./mutants.ts";
import { PINS } from "./pins.ts";

const ROOT = new URL("../../../", import.meta.url);

/** Their cases are in other files. */
const SUITES = ["store/memory.test.ts", "original/original.test.ts"];

describe("mutants", () => {
  test.each(MUTANTS.map((mutant) => [mutant.name, mutant] as const))(
    "%s: its edits fit the sources",
    (_, mutant) => {
      for (const file of new Set(mutant.edits.map((edit) => edit.file))) {
        const text = readSource(file);
        expect(applyEdits(file, text, mutant)).not.toBe(text);
      }
    },
  );

  test("an edit that does not fit is an error", () => {
    const edits = [{ file: "core/assert.ts", find: "no such text", put: "" }];
    const mutant = { name: "misfit", breaks: [], does: "", edits };
    expect(() => applyEdits("core/assert.ts", readSource("core/assert.ts"), mutant)).toThrow(
      "mutant misfit: expected once in src/core/assert.ts, found 0 times: no such text",
    );
  });

  test("there is one for each invariant of the protocol", () => {
    const table =
      readFileSync(new URL("docs/PROTOCOL.md", ROOT), "utf8")
        .split("## Invariants")[1]
        ?.split("## ")[0] ?? "";
    const invariants = [...table.matchAll(/^\| ([A-Z-]+) \|/gm)].map(([, name]) => name);
    expect(invariants.length).toBeGreaterThan(10);
    const broken = MUTANTS.flatMap(({ breaks }) => breaks);
    expect(invariants.filter((name) => !broken.includes(name ?? ""))).toEqual([]);
  });

  test("each has a name of its own, and a seed or a test that finds it", () => {
    const names = MUTANTS.map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
    const simulated = MUTANTS.filter((mutant) => mutant.test === undefined);
    expect(simulated.filter(({ name }) => !PINS.has(name)).map(({ name }) => name)).toEqual([]);
    expect([...PINS.keys()].filter((name) => !names.includes(name))).toEqual([]);
  });

  test("the README says of each what it does", () => {
    const table = readFileSync(new URL("../README.md", import.meta.url), "utf8").split(
      "## Mutants",
    )[1];
    const rows = MUTANTS.map((one) => `| ${one.name} | ${one.breaks.join(", ")} | ${one.does} |`);
    expect(rows.filter((row) => table?.includes(row) !== true)).toEqual([]);
  });

  test("a named test exists", () => {
    for (const { test: named } of MUTANTS) {
      if (named === undefined || SUITES.includes(named.file)) continue;
      const text = readFileSync(new URL(`test/${named.file}`, ROOT), "utf8");
      expect(text).toContain(named.name);
    }
  });
});

const HUNTED = [
  "no second look at the manifest",
  "refresh without new runs",
  "one w for all",
  "clocks without the listing",
  "deletes before publishing",
  "no fence",
];

test.each(HUNTED)("the pinned seed finds: %s", { timeout: 60_000 }, async (name) => {
  const [mutant] = MUTANTS.filter((candidate) => candidate.name === name);
  if (mutant === undefined) throw new Error(`no mutant is called ${name}`);
  const found = await hunt(ROOT, mutant, [PINS.get(name) ?? 1]);
  expect(found, "no violation").toBeDefined();
});
