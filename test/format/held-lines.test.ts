import { expect, test } from "vitest";
import { HeldLines } from "../../src/format/held-lines.ts";
import { encodeRunLine } from "../../src/format/run-codec.ts";

const W = "0123456789abcdef";
const entry = (id: string, agent: string, text: string | undefined) => ({
  id,
  version: { clock: 7, agent, writerNonce: W },
  schemaVersion: 2,
  text,
});

test("held lines are those that a run holds, whatever they are spelled with", () => {
  const lines = new HeldLines();
  const entries = [
    entry("a", "web", '{"n":1}'),
    entry("ä", "ö", '"ü"'),
    entry('quo"te', "", "[1]"),
    entry("gone", "ö", undefined),
    entry("large", "web", JSON.stringify("ß".repeat(300_000))),
    entry("after", "web", "1"),
  ];
  for (const each of entries) {
    const line = lines.add(each);
    const { id, version, schemaVersion, text } = line;
    expect({ id, version, schemaVersion, text }).toEqual(each);
    expect(line.bytes.toString("utf8", line.start, line.end)).toBe(encodeRunLine(each));
  }
  const bytes = entries.reduce((sum, each) => sum + Buffer.byteLength(encodeRunLine(each)), 0);
  expect(lines.bytes).toBe(bytes);
});

test("what is cleared gives its room to the next lines", () => {
  const lines = new HeldLines();
  const first = lines.add(entry("a", "web", "1"));
  lines.add(entry("large", "web", JSON.stringify("x".repeat(300_000))));
  lines.clear();
  expect(lines.bytes).toBe(0);
  expect(lines.add(entry("b", "web", "2")).bytes).toBe(first.bytes);
});
