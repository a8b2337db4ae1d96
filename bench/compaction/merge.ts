/** Merges the log of a store once, by either engine: what the other does in one invocation. */
import { compactStore } from "../s3/engines.ts";
import type { MergeAnswer, MergeTask } from "./tasks.ts";

const { engine, bucket, prefix }: MergeTask = JSON.parse(process.argv[2] ?? "");
const endpoint = process.env["OPSLOG_TEST_S3_ENDPOINT"] ?? "";
const beganMs = performance.now();
await compactStore(engine, { bucket, prefix }, endpoint);
const wallMs = performance.now() - beganMs;
const { user, system } = process.cpuUsage();
const peakRssBytes = process.resourceUsage().maxRSS * 1_024;
const answer: MergeAnswer = { wallMs, cpuMs: (user + system) / 1_000, peakRssBytes };
process.stdout.write(`${JSON.stringify(answer)}\n`, () => process.exit());
