/** Debian control data (deb822): paragraphs of `Field: value` lines, blank lines between them. */
import type { FieldValue, PackageRecord } from "./record.ts";

/** Parses as the text arrives; at most one paragraph and one chunk are held. */
export async function* readParagraphs(
  chunks: AsyncIterable<string>,
): AsyncGenerator<PackageRecord> {
  let begun = "";
  for await (const chunk of chunks) {
    const text = begun + chunk;
    const end = text.lastIndexOf("\n\n");
    begun = end < 0 ? text : text.slice(end + 2);
    if (end >= 0) yield* parseParagraphs(text.slice(0, end));
  }
  yield* parseParagraphs(begun);
}

function parseParagraphs(text: string): PackageRecord[] {
  return text
    .split(/\n{2,}/)
    .map((paragraph) => paragraph.replace(/^\n|\n$/g, ""))
    .filter((paragraph) => paragraph !== "")
    .map(parseParagraph);
}

/** @throws Error naming the line that is neither a field nor the continuation of one */
export function parseParagraph(text: string): PackageRecord {
  const fields: [name: string, value: string][] = [];
  for (const line of text.split("\n")) {
    const last = fields.at(-1);
    if (last !== undefined && /^[ \t]/.test(line)) {
      last[1] += `\n${line.slice(1)}`;
      continue;
    }
    const colon = line.indexOf(":");
    if (colon < 1) throw new Error(`package index: not a field: ${JSON.stringify(line)}`);
    fields.push([line.slice(0, colon), line.slice(colon + 1).trim()]);
  }
  return Object.fromEntries(fields.map(([name, value]) => [name, typedValue(name, value)]));
}

function typedValue(name: string, value: string): FieldValue {
  if (name === "Tag") return value.split(/,\s*/);
  const isNumber = (name === "Size" || name === "Installed-Size") && /^\d{1,15}$/.test(value);
  return isNumber ? Number(value) : value;
}
