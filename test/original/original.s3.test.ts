/** As original.test.ts, on a live server; and stores that the original's own S3 backend wrote. */
import { Store as OriginalStore } from "@backloghq/opslog";
import { S3Backend as OriginalS3Backend } from "@backloghq/opslog-s3";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type LiveBucket, liveS3Bucket } from "../support/live-s3.ts";
import { setUp } from "../store/fixture.ts";
import { s3Medium } from "../store/media.ts";
import { readingCases } from "./cases/reading.ts";
import { raceCases } from "./cases/upgrade-races.ts";
import { upgradingCases } from "./cases/upgrading.ts";
import { originalObjects, runCompaction } from "./support.ts";

const BUCKET_MS = 60_000;

describe("live server", () => {
  let live: LiveBucket;
  beforeAll(async () => {
    live = await liveS3Bucket();
  }, BUCKET_MS);
  afterAll(() => live[Symbol.asyncDispose](), BUCKET_MS);
  const make = () => Promise.resolve(s3Medium(live));

  describe("a store of the original as it is", () => readingCases(make));
  describe("a store of the original upgraded", () => upgradingCases(make));
  describe("a store of the original upgraded under the eyes of others", () => raceCases(make));

  describe("written by the original's S3 backend", () => {
    test.each([
      ["a single writer", [undefined]],
      ["two agents", ["a/b c", "Z"]],
    ])("%s: every record before and after the upgrade", { timeout: 60_000 }, async (_, agents) => {
      const fixture = await setUp(make);
      const prefix = fixture.medium.location.replace(`s3://${live.bucket}/`, "");
      const open = async (agentId: string | undefined): Promise<OriginalStore> => {
        const backend = new OriginalS3Backend({ bucket: live.bucket, prefix, client: live.client });
        const store = new OriginalStore();
        const agent = agentId === undefined ? {} : { agentId };
        await store.open("ignored", { backend, checkpointOnClose: false, ...agent });
        return store;
      };
      for (const agentId of agents) {
        const store = await open(agentId);
        for (let n = 0; n < 3; n++) await store.set(`${agentId}${n}`, { n });
        await store.archive(({ n }) => n === 1, `of ${agentId?.length ?? 0}`);
        await store.set("shared", { by: agentId ?? "single" });
        await store.set(`${agentId}0`, { n: "new" });
        await store.delete(`${agentId}2`);
        await store.close();
      }
      const last = await open(agents.at(-1));
      const expected = new Map(last.entries());
      expect(expected.size).toBeGreaterThan(1);
      await last.close();

      const before = await fixture.medium.contents();
      expect(new Map(await fixture.entries())).toEqual(expected);
      expect(await fixture.lookUp([...expected.keys(), "none"])).toEqual(expected);
      expect(await fixture.medium.contents()).toEqual(before);
      const store = await fixture.open({ readOnly: true });
      expect((await store.loadArchive(`of ${agents[0]?.length ?? 0}`)).size).toBe(1);

      await runCompaction(fixture.medium, { gcGraceMs: 0 });
      expect(new Map(await fixture.entries())).toEqual(expected);
      await fixture.medium.pass(2_500);
      await runCompaction(fixture.medium, { gcGraceMs: 1_000 });
      expect(await originalObjects(fixture)).toEqual([]);
      expect(new Map(await fixture.entries())).toEqual(expected);
      await expect(open(agents[0])).rejects.toThrow("Invalid manifest: version");
    });
  });
});
