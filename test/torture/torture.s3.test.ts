import { expect, test } from "vitest";
import { runSeed } from "../processes/random.ts";
import { liveS3Endpoint } from "../support/live-s3.ts";
import { describeReport, passed, torture } from "./torture.ts";

const SECONDS = 10;

test(
  "a short torture loses, resurrects, tears and splits nothing",
  { timeout: 180_000 },
  async () => {
    const options = {
      seconds: SECONDS,
      writers: 6,
      seed: runSeed(),
      endpoint: liveS3Endpoint ?? "",
    };
    const report = await torture(options);
    const text = describeReport(report, options);
    console.log(text);
    expect(passed(report), text).toBe(true);
    // Otherwise it would have proved nothing.
    expect(report.acked).toBeGreaterThan(20);
    expect(report.kills).toBeGreaterThan(0);
    expect(report.disturbed).toBeGreaterThan(0);
    expect(report.sharedWrites).toBeGreaterThan(2);
    expect(report.explained).toBe("fine");
    expect(report.sharedReads).toBeGreaterThan(0);
  },
);
