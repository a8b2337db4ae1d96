/** verify: all is well, or what is wrong by object; and it changes nothing. */
import { describe, expect, test } from "vitest";
import { InvalidArgumentError } from "../../src/core/errors.ts";
import { verify, type VerifyReport } from "../../src/store/verify.ts";
import { flip } from "../runs/support.ts";
import { type Fixture, setUp } from "./fixture.ts";
import { directoryMedium, memoryMedium } from "./media.ts";
import { namesOf, rawFiles } from "./raw-files.ts";

const MEDIA = [
  ["memory", memoryMedium],
  ["a directory", directoryMedium],
] as const;

describe.each(MEDIA)("verify on %s", (_, makeMedium) => {
  async function fill(): Promise<Fixture> {
    const fixture = await setUp(makeMedium);
    const store = await fixture.open({ checkpointOnClose: false, segmentGraceMs: 0 });
    for (let n = 0; n < 40; n++) void store.set(`r${n}`, { n, text: "x".repeat(2_000) });
    await store.delete("r0");
    await store.compact();
    await store.set("l1", "in the log");
    await store.delete("r1");
    await store.close();
    return fixture;
  }

  const check = ({ medium }: Fixture): Promise<VerifyReport> =>
    verify(medium.location, { backend: medium.backend() });

  test("a whole store has no problems, is counted, and is not changed", async () => {
    const fixture = await fill();
    const before = await fixture.medium.contents();
    expect(await check(fixture)).toEqual({
      problems: [],
      generation: 2,
      runs: 1,
      records: 40,
      segments: 2,
      operations: 2,
      garbage: [],
      clocksAheadMs: 0,
    });
    expect(await fixture.medium.contents()).toEqual(before);
  });

  test.each(["run", "index", "segment"] as const)(
    "a flipped byte in a %s is named",
    async (kind) => {
      const fixture = await fill();
      const files = await rawFiles(fixture.medium);
      const [name = ""] = await namesOf(files, kind);
      const bytes = await files.read(name);
      await files.write(name, flip(bytes, bytes.length - 20, 1));
      const { problems } = await check(fixture);
      expect(problems.map(({ path }) => path)).toContain(name);
    },
  );

  test("a run that is not there is named", async () => {
    const fixture = await fill();
    const files = await rawFiles(fixture.medium);
    const [name = ""] = await namesOf(files, "run");
    await files.remove(name);
    const { problems } = await check(fixture);
    expect(problems.map(({ message }) => message)).toEqual([
      `the manifest names ${name}, which is not there`,
    ]);
  });
});

test("verify refuses what it cannot read at all", async () => {
  const { medium } = await setUp(directoryMedium);
  await expect(verify(medium.location)).rejects.toMatchObject({
    code: "STORE_NOT_FOUND",
    message: `Cannot verify: there is no store at ${medium.location}`,
    path: medium.location,
  });
  await expect(verify("s3://bucket/prefix")).rejects.toThrow(InvalidArgumentError);
  // @ts-expect-error -- an option that does not exist
  await expect(verify(medium.location, { fix: true })).rejects.toThrow(InvalidArgumentError);
});
