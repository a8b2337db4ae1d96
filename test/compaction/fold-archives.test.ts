/** Which archives a manifest names, and which ones lists name. */
import { describe, expect, test } from "vitest";
import { foldArchives } from "../../src/compaction/fold-archives.ts";
import {
  type ArchiveInfo,
  countArchives,
  decodeArchiveList,
  encodeArchiveList,
  NO_LISTED,
  summaryOf,
} from "../../src/format/archive-list.ts";
import { EMPTY_MANIFEST, encodeManifest, type Manifest } from "../../src/format/manifest-codec.ts";
import { CorruptionError } from "../../src/core/errors.ts";
import { archiveListPath, archivePath } from "../../src/format/paths.ts";
import { sealLine } from "../../src/format/json-line.ts";

type Archives = Pick<Manifest, "archive" | "listedArchives">;

const NONE: Archives = { archive: [], listedArchives: NO_LISTED };
const rand = (n: number): string => n.toString(16).padStart(16, "0");

function info(n: number): ArchiveInfo {
  const period = `2026-Q${(n % 4) + 1}`;
  const path = archivePath({ period, base: n, rand: rand(n) });
  return { period, path, records: n, sha256: "ab".repeat(32) };
}

const fold = (archives: Archives, n: number, inlineMax: number) =>
  foldArchives(archives, info(n), inlineMax, archiveListPath(n, rand(n)));

function all({ archive, listedArchives }: Archives): ArchiveInfo[] {
  return [...listedArchives.lists.flatMap(({ content = [] }) => content), ...archive];
}

const bytesOf = ({ archive, listedArchives }: Archives): number =>
  encodeManifest({ ...EMPTY_MANIFEST, generation: 1, archive, listedArchives }).length;

test.each([0, 1, 3, 32])(
  "with %d in the manifest, none is forgotten, their order stays, and lists are few",
  (inlineMax) => {
    let archives = NONE;
    let [written, listsMax, bytesMax] = [0, 0, 0];
    for (let n = 1; n <= 1_000; n++) {
      const { made, ...next } = fold(archives, n, inlineMax);
      archives = next;
      expect(archives.archive.length).toBeLessThanOrEqual(inlineMax);
      const { lists } = archives.listedArchives;
      if (made !== undefined) {
        written += lists.at(-1)?.count ?? 0;
        const list = lists.at(-1);
        expect(list?.path).toBe(made.path);
        if (list !== undefined) expect(decodeArchiveList(made.body, list)).toEqual(list.content);
      }
      listsMax = Math.max(listsMax, lists.length);
      bytesMax = Math.max(bytesMax, bytesOf(archives));
    }
    expect(all(archives)).toEqual(Array.from({ length: 1_000 }, (_, at) => info(at + 1)));
    expect(archives.listedArchives.periods).toEqual(["2026-Q1", "2026-Q2", "2026-Q3", "2026-Q4"]);
    expect(countArchives(archives)).toEqual({ archives: 1_000, records: 500_500 });
    expect(listsMax).toBeLessThanOrEqual(11);
    expect(written).toBeLessThan(11 * 1_000);
    expect(bytesMax).toBeLessThan(9_000);
  },
);

test("a list that was not read stays as it is, and nothing of the manifest is lost", () => {
  const before = [1, 2, 3, 4].reduce<Archives>((archives, n) => fold(archives, n, 2), NONE);
  const unread = {
    ...before.listedArchives,
    lists: before.listedArchives.lists.map(({ content: _content, ...list }) => list),
  };
  const after = fold({ ...before, listedArchives: unread }, 5, 1);
  expect(after.listedArchives.lists.slice(0, unread.lists.length)).toEqual(unread.lists);
  expect(countArchives(after)).toEqual({ archives: 5, records: 15 });
});

describe("a list", () => {
  const path = archiveListPath(3, rand(3));
  const archives = [info(1), { period: "p", path: "archive/archive-p.json", records: 2 }];
  const { body, crc } = encodeArchiveList(archives, path);
  const list = summaryOf(archives, path, crc);

  test("is one sealed line, and is read again", () => {
    expect(body.toString()).toMatch(
      /^\{"format":1,"kind":"archives","archives":\[.*\],"crc":"\w{8}"\}\n$/,
    );
    expect(decodeArchiveList(body, list)).toEqual(archives);
  });

  test("with a byte changed, or of another number, is refused", () => {
    for (let at = 0; at < body.length; at += 7) {
      const damaged = Buffer.from(body);
      damaged[at] = (damaged[at] ?? 0) ^ 1;
      expect(() => decodeArchiveList(damaged, list)).toThrow(CorruptionError);
    }
    expect(() => decodeArchiveList(body, { ...list, count: 3 })).toThrow("of 3 archives");
    expect(() => decodeArchiveList(body, { ...list, records: 9 })).toThrow("with 9 records");
    const other = encodeArchiveList([info(2)], path);
    expect(() => decodeArchiveList(other.body, list)).toThrow(`expected the list ${crc}`);
    const longer = Buffer.concat([body, Buffer.from("\n")]);
    expect(() => decodeArchiveList(longer, list)).toThrow("one line");
    const foreign = Buffer.from(`${sealLine('{"format":1,"kind":"catalogue"}')}\n`);
    expect(() => decodeArchiveList(foreign, list)).toThrow("expected a archives header");
  });
});
