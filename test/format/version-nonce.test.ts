import { expect, test } from "vitest";
import { versionNonce } from "../../src/format/segment.ts";
import { W } from "../log/support.ts";

const LINES = Buffer.from('{"id":"x"}\n');

test("what was drawn, the name and the lines each make another w", () => {
  const found = [
    versionNonce(W, "ops/0/s/1-5-5-a.jsonl", LINES),
    versionNonce("f".repeat(16), "ops/0/s/1-5-5-a.jsonl", LINES),
    versionNonce(W, "ops/0/s/2-5-5-a.jsonl", LINES),
    versionNonce(W, "ops/0/s/1-5-5-a.jsonl", Buffer.from('{"id":"y"}\n')),
  ];
  expect(new Set(found).size).toBe(4);
  for (const w of found) expect(w).toMatch(/^[0-9a-f]{16}$/);
});

test("is what FORMAT says", () => {
  expect(versionNonce(W, "ops/0/s/1-5-5-a.jsonl", LINES)).toBe("68449ca043c7cdb7");
});
