/** What docs/s3.md says about an S3 server on the own machine. */
import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { DeleteBucketCommand } from "@aws-sdk/client-s3";
import { afterEach, expect, test, vi } from "vitest";
import { LightS3Backend } from "../../src/s3/light/index.ts";
import { liveS3Client, requireEndpoint } from "../support/live-s3.ts";
import { projectDirectory } from "./support.ts";

afterEach(() => vi.unstubAllEnvs());

const guide = readFileSync(join(projectDirectory, "docs/s3.md"), "utf8");
const { port } = new URL(requireEndpoint());

async function rgw(...args: readonly string[]): Promise<string> {
  const script = join(projectDirectory, "test/support/ceph-rgw.sh");
  const env = { ...process.env, RGW_PORT: port };
  return (await promisify(execFile)("bash", [script, ...args], { env })).stdout;
}

test("the recipe makes a bucket, and names the variable that clients read", async () => {
  expect(guide).toContain("bash test/support/ceph-rgw.sh bucket my-bucket\n");
  expect(guide).toContain("AWS_ENDPOINT_URL_S3=$OPSLOG_TEST_S3_ENDPOINT npm start\n");
  const name = `opslog-recipe-${randomBytes(6).toString("hex")}`;
  await rgw("bucket", name);
  // Once more, as somebody does who follows the recipe again.
  await rgw("bucket", name);
  vi.stubEnv("AWS_ENDPOINT_URL_S3", requireEndpoint());
  const backend = new LightS3Backend();
  await backend.initialize(`s3://${name}/store`, { readOnly: false });
  expect(await backend.get("manifest.json")).toMatchObject({ status: "absent" });
  await backend.shutdown();
  const client = liveS3Client();
  await client.send(new DeleteBucketCommand({ Bucket: name }));
  client.destroy();
});

test("a bucket without a name is refused before anything is sent", async () => {
  await expect(rgw("bucket")).rejects.toThrow(/name of a bucket/);
});
