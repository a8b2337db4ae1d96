/** What a machine holds of the house rules: layers, the one clock, sizes, the list of errors. */
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import {
  errorCodes,
  FILE_LINES_MAX,
  findFaults,
  findSpreads,
  RANKS,
  readSources,
} from "./support/tidy.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const sources = readSources(join(ROOT, "src"));

test("src keeps to its rules", () => {
  expect(sources.length).toBeGreaterThan(50);
  expect(findFaults(sources)).toEqual([]);
});

test.each(["src", "functions", "infra", "bench"])("%s spreads no array into a call", (folder) => {
  expect(findSpreads(readSources(join(ROOT, folder)))).toEqual([]);
});

test.each(["src", "functions", "infra", "bench", "test"])(
  "%s leaves every line to the formatter",
  (folder) => {
    const mark = ["prettier", "ignore"].join("-");
    const marked = readSources(join(ROOT, folder)).filter(({ text }) => text.includes(mark));
    expect(marked.map(({ path }) => path)).toEqual([]);
  },
);

test("every rank is of a room that exists", () => {
  const rooms = new Set(sources.flatMap(({ path }) => [path, dirname(path)]));
  expect(Object.keys(RANKS).filter((room) => !rooms.has(room))).toEqual([]);
});

test("each error code has a section in the guide to troubleshooting", () => {
  const codes = errorCodes(readFileSync(join(ROOT, "src/core/errors.ts"), "utf8"));
  expect(codes.length).toBeGreaterThan(10);
  const guide = readFileSync(join(ROOT, "docs/troubleshooting.md"), "utf8").split("\n");
  expect(codes.filter((code) => !guide.includes(`## ${code}`))).toEqual([]);
});

test("every error code is used once", () => {
  const codes = sources.flatMap(({ text }) => errorCodes(text));
  expect(codes).toEqual([...new Set(codes)]);
});

describe("the checker finds", () => {
  const faultsIn = (path: string, text: string): string[] => findFaults([{ path, text }]);

  test.each([
    ["an import upwards", "core/a.ts", 'import { x } from "../storage/b.ts";'],
    ["an import sideways", "log/a.ts", 'import { x } from "../runs/b.ts";'],
    ["a type import upwards", "format/a.ts", 'import type { X } from "../log/b.ts";'],
    ["an import over several lines", "view/a.ts", 'import {\n  x,\n} from "../store/b.ts";'],
    ["a re-export upwards", "storage/a.ts", 'export * from "../view/b.ts";'],
    ["a dynamic import upwards", "store/a.ts", 'await import("../lambda/b.ts");'],
    ["an import for its effect", "core/a.ts", 'import "../format/b.ts";'],
    ["an import of the front door", "store/a.ts", 'import { x } from "../index.ts";'],
    ["an import out of src", "core/a.ts", 'import { x } from "../../test/b.ts";'],
    ["an import without its ending", "core/a.ts", 'import { x } from "./b";'],
    ["the SDK in the store", "store/a.ts", 'import { S3Client } from "@aws-sdk/client-s3";'],
    ["the SDK's parts", "lambda/a.ts", "import x from '@smithy/types';"],
    ["another package", "core/a.ts", 'import _ from "lodash";'],
  ])("%s", (_, path, text) => {
    expect(faultsIn(path, `/** Why. */\n${text}\n`)).toEqual([
      expect.stringMatching(new RegExp(`^${path}:[23-5]: .*(imports|import)`)),
    ]);
  });

  test.each([
    ["Date.now()", "runtime.nowMs()"],
    ["new Date()", "new Date(runtime.nowMs())"],
    ["performance.now()", "runtime.steadyMs()"],
    ["Math.random()", "runtime.random()"],
    ["setTimeout(f, 1)", "runtime.sleep()"],
    ["globalThis.setInterval(f, 1)", "runtime.sleep()"],
    ["AbortSignal.timeout(5)", "runtime.sleep()"],
    ["crypto.randomUUID()", "runtime.randomHex()"],
    ["error instanceof Error", "core/realm.ts"],
    ["error instanceof SyntaxError", "core/realm.ts"],
    ["body instanceof Uint8Array", "core/realm.ts"],
    ["randomBytes(8)", "runtime.randomHex()"],
  ])("%s, and names its replacement", (code, use) => {
    const faults = faultsIn("store/a.ts", `const a = 1;\nconst b = ${code};\n`);
    expect(faults[0]).toMatch(/^store\/a\.ts:2: /);
    expect(faults[0]).toContain(`use ${use}`);
    expect(faultsIn("core/runtime.ts", code)).toEqual([]);
  });

  test.each([
    ["list.push(...more)", "append()"],
    ["list.push(first, ...more)", "append()"],
    ["list.unshift(...more)", "append()"],
    ["list.splice(0, 1, ...more)", "slices"],
    ["Math.max(0, ...values)", "maxOf()"],
    ["Math.min(...values.map((one) => one.n))", "minOf()"],
    ["String.fromCharCode(...codes)", "toString()"],
    ["list.push.apply(list, more)", "a loop"],
    ["list.concat(...more)", "flat()"],
  ])("%s, and names its replacement", (code, use) => {
    const [fault] = findSpreads([{ path: "store/a.ts", text: `const a = 1;\n${code};\n` }]);
    expect(fault).toMatch(/^store\/a\.ts:2: /);
    expect(fault).toContain(use);
  });

  test("no spread in what puts nothing on the stack", () => {
    const text =
      "list.push([...more]); f({ ...a }); Reflect.apply(f, a, []); list.push({ ...one });";
    expect(findSpreads([{ path: "store/a.ts", text }])).toEqual([]);
  });

  test("a file that is too long, and a room without a rank", () => {
    const lines = "x;\n".repeat(FILE_LINES_MAX);
    expect(faultsIn("core/a.ts", lines)).toEqual([]);
    expect(faultsIn("core/a.ts", `${lines}x;\n`)[0]).toContain("401 lines, at most 400");
    expect(faultsIn("attic/a.ts", "")[0]).toContain("room 'attic' has no rank");
  });

  test("nothing in what is allowed, in comments and in words", () => {
    const text = [
      '/** Never Date.now(); see "../lambda/x.ts". */',
      'import { a } from "../core/a.ts";',
      'import { b } from "./b.ts"; // not from "../lambda/x.ts"',
      'import { c } from "node:fs";',
      "const d = new Date(ms); // Math.random()",
      'const url = "https://example.org";',
      'const advice = `use it with S3Backend from "somewhere/else"`;',
      "const setTimeouts = 1;",
    ];
    expect(faultsIn("view/a.ts", text.join("\n"))).toEqual([]);
    expect(faultsIn("s3/a.ts", 'import { S3Client } from "@aws-sdk/client-s3";')).toEqual([]);
    expect(faultsIn("lambda/a.ts", 'import { S3 } from "../s3/index.ts";')).toEqual([]);
  });

  test("the codes of errors", () => {
    expect(errorCodes('override readonly code = "ONE_TWO";\nconst code = "THREE"')).toEqual([
      "ONE_TWO",
    ]);
  });
});
