/** What the light client reads out of an answer costs as much as the answer is long. */
import { expect, test } from "vitest";
import { parseDeleteResult, parseList } from "../../src/s3/light/xml.ts";
import { growthOf, LINEAR_MAX } from "../support/growth.ts";

function listPage(count: number): string {
  const contents = Array.from({ length: count }, (_, n) => {
    return `<Contents><Key>ops/0/${n}</Key><LastModified>2026-11-01T00:00:00.000Z</LastModified><Size>${n}</Size></Contents>`;
  });
  const prefixes = Array.from(
    { length: count },
    (_, n) => `<CommonPrefixes xmlns="x"><Prefix>${n}/</Prefix></CommonPrefixes>`,
  );
  return `<ListBucketResult xmlns="x"><IsTruncated>false</IsTruncated>${contents.join("")}${prefixes.join("")}</ListBucketResult>`;
}

test("a page of a listing", async () => {
  const growth = await growthOf(1_000, (size) => {
    const { objects, prefixes } = parseList(listPage(size));
    expect([objects.length, objects.at(-1), prefixes.length, prefixes.at(-1)]).toEqual([
      size,
      { key: `ops/0/${size - 1}`, bytes: size - 1, lastModifiedMs: Date.UTC(2026, 10, 1) },
      size,
      `${size - 1}/`,
    ]);
  });
  expect(growth).toBeLessThan(LINEAR_MAX);
});

test("an answer to a deletion", async () => {
  const growth = await growthOf(1_000, (size) => {
    const errors = Array.from(
      { length: size },
      (_, n) => `<Error><Key>${n}</Key><Code>X</Code><Message>m</Message></Error>`,
    );
    const found = parseDeleteResult(`<DeleteResult>${errors.join("")}</DeleteResult>`);
    expect([found.length, found.at(-1)?.key]).toEqual([size, `${size - 1}`]);
  });
  expect(growth).toBeLessThan(LINEAR_MAX);
});

test("an element whose name only begins so is another one", () => {
  const xml = `<ListBucketResult><ContentsX><Key>no</Key></ContentsX><Contents><KeyMarker>no</KeyMarker><Key>yes</Key></Contents></ListBucketResult>`;
  expect(parseList(xml).objects.map(({ key }) => key)).toEqual(["yes"]);
});
