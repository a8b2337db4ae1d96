/** One flipped bit in the bytes of log files, and of other files by sample, on a directory. */
import { describe, expect, test } from "vitest";
import { onDirectory, reused } from "./image.ts";
import { judgeCompaction, judgeReads, judgeVerify } from "./judge.ts";
import { makeSpecimen, withTornTail } from "./specimen.ts";
import { sweep } from "./sweep.ts";

const plain = await makeSpecimen(onDirectory);
const torn = await withTornTail(onDirectory, plain);

describe.each([
  ["one bit", plain],
  ["one bit of a store that a crash left a torn end in", torn],
])("%s", { timeout: 300_000 }, (_, specimen) => {
  const isLog = (path: string): boolean => path.startsWith("ops/");

  test("never changes what any way to read shows", async () => {
    await using place = await reused(onDirectory, specimen.image);
    const how = { make: place.make, specimen, judge: judgeReads };
    expect(await sweep({ ...how, isDamaged: isLog, stride: 4 })).toEqual([]);
    const isOther = (path: string): boolean => !isLog(path);
    expect(await sweep({ ...how, isDamaged: isOther, stride: 200 })).toEqual([]);
  });

  test("never makes a compaction lose or invent anything", async () => {
    const how = { make: onDirectory, judge: judgeCompaction, isDamaged: isLog, stride: 40 };
    expect(await sweep({ specimen, ...how })).toEqual([]);
  });

  test("is reported by verify, with object and offset", async () => {
    await using place = await reused(onDirectory, specimen.image);
    const ends = specimen.flushes.map(
      (flush) => [flush.path, flush.offset + flush.length] as const,
    );
    const acknowledged = new Map(ends);
    const how = {
      make: place.make,
      judge: judgeVerify,
      isDamaged: (path: string) => specimen.current.has(path),
      // What was never acknowledged needs no telling.
      isWithin: (path: string, offset: number) => offset < (acknowledged.get(path) ?? Infinity),
      stride: 20,
    };
    expect(await sweep({ specimen, ...how })).toEqual([]);
  });
});
