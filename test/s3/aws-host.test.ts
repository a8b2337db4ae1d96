/** Where our own clients send requests when only the environment or AWS's config file says so. */
import { writeFile } from "node:fs/promises";
import { afterEach, describe, expect, test, vi } from "vitest";
import { createClient } from "../../src/s3/sdk/own-client.ts";
import { LightS3Backend } from "../../src/s3/light/index.ts";
import { S3Backend } from "../../src/s3/index.ts";
import { resolveOptions } from "../../src/s3/requests/options.ts";
import { recordingProxy } from "../support/recording-proxy.ts";
import { tempDir } from "../support/temp-dir.ts";
import { bytes, ok, rejection, virtualRuntime } from "./support.ts";

const NO_ENDPOINT = { AWS_ENDPOINT_URL_S3: "", AWS_ENDPOINT_URL: "", AWS_REGION: "eu-west-1" };
const CREDENTIALS = { AWS_ACCESS_KEY_ID: "id", AWS_SECRET_ACCESS_KEY: "secret" };

function stubEnvs(variables: Readonly<Record<string, string>>): void {
  for (const [name, value] of Object.entries(variables)) vi.stubEnv(name, value);
}

afterEach(() => vi.unstubAllEnvs());

describe("endpoint_url of AWS's config file", () => {
  test("with a host name has the bucket in the path, and one plain checksum", async () => {
    await using proxy = await recordingProxy("http://127.0.0.1:9");
    proxy.fault = () => ok();
    await using directory = await tempDir();
    const file = `${directory.path}/config`;
    const endpoint = proxy.endpoint.replace("127.0.0.1", "localhost");
    await writeFile(file, `[default]\nendpoint_url = ${endpoint}\n`);
    stubEnvs({ ...NO_ENDPOINT, ...CREDENTIALS, AWS_CONFIG_FILE: file });
    const backend = new S3Backend();
    await backend.initialize("s3://bucket/store", { readOnly: false });
    await backend.put("x", bytes("ours"), "none");
    await backend.shutdown();
    const [request] = proxy.requests;
    expect(request?.path).toBe("/bucket/store/x");
    expect(request?.requestHeaders.host).toBe(new URL(endpoint).host);
    expect(request?.requestHeaders).toHaveProperty("content-md5");
    expect(request?.requestHeaders).not.toHaveProperty("x-amz-checksum-crc32");
  });

  test("that is absent leaves AWS's addresses and checksums", async () => {
    stubEnvs({ ...NO_ENDPOINT, AWS_CONFIG_FILE: "/nowhere/config" });
    const settings = resolveOptions({}, { name: "S3Backend", option: "client" });
    const { config } = createClient(settings);
    expect(await Object(config).forcePathStyle()).toBe(false);
    expect(await config.requestChecksumCalculation()).toBe("WHEN_SUPPORTED");
    expect(await config.responseChecksumValidation()).toBe("WHEN_SUPPORTED");
  });
});

test("the light client goes to AWS's FIPS and dual-stack hosts when the environment says so", async () => {
  stubEnvs({ ...NO_ENDPOINT, ...CREDENTIALS });
  // A region that no host can have: the name that is looked for is in the error.
  const hostOf = async (): Promise<string> => {
    const backend = new LightS3Backend({ region: "no.invalid", runtime: virtualRuntime() });
    await backend.initialize("s3://bucket/store", { readOnly: false });
    return String(await rejection(backend.get("x")));
  };
  expect(await hostOf()).toContain("bucket.s3.no.invalid.amazonaws.com");
  vi.stubEnv("AWS_USE_FIPS_ENDPOINT", "true");
  expect(await hostOf()).toContain("bucket.s3-fips.no.invalid.amazonaws.com");
  vi.stubEnv("AWS_USE_DUALSTACK_ENDPOINT", "true");
  expect(await hostOf()).toContain("bucket.s3-fips.dualstack.no.invalid.amazonaws.com");
});
