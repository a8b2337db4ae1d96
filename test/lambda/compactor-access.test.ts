/** Which S3 client a compactor of `opslog-serverless/lambda` sends its requests through. */
import { MemoryBackend } from "opslog-serverless";
import { LightS3Backend } from "opslog-serverless/s3/light";
import { S3Backend } from "opslog-serverless/s3";
import { afterEach, expect, test, vi } from "vitest";
import { compactorAccess } from "../../src/lambda/compactor-access.ts";
import { lightAccess } from "../../src/lambda/light-access.ts";
import type { S3Access } from "../../src/lambda/s3-access.ts";

afterEach(() => vi.unstubAllEnvs());

const LAMBDA = {
  AWS_LAMBDA_FUNCTION_NAME: "compactor",
  AWS_REGION: "eu-central-1",
  AWS_ACCESS_KEY_ID: "a",
  AWS_SECRET_ACCESS_KEY: "b",
};

function stub(env: Record<string, string>): void {
  for (const name of Object.keys(LAMBDA)) vi.stubEnv(name, "");
  for (const [name, value] of Object.entries(env)) vi.stubEnv(name, value);
}

test("is the light one in a Lambda function", () => {
  stub(LAMBDA);
  expect(compactorAccess().backend()).toBeInstanceOf(LightS3Backend);
});

test.each([
  ["on a machine with keys", { ...LAMBDA, AWS_LAMBDA_FUNCTION_NAME: "" }],
  ["without keys in the environment", { ...LAMBDA, AWS_ACCESS_KEY_ID: "" }],
  ["in a region with other host names", { ...LAMBDA, AWS_REGION: "us-iso-east-1" }],
  ["in the European cloud", { ...LAMBDA, AWS_REGION: "eusc-de-east-1" }],
])("is the AWS SDK %s", (_, env) => {
  stub(env);
  expect(compactorAccess().backend()).toBeInstanceOf(S3Backend);
});

test("is chosen at the first invocation, for one store and for several", async () => {
  const calls: string[] = [];
  const access = (name: string): S3Access => ({
    backend: () => (calls.push(`${name} one`), new MemoryBackend()),
    sharedBackend: () => (calls.push(`${name} shared`), new MemoryBackend()),
    listLocations: async () => (calls.push(`${name} list`), []),
  });
  stub({});
  const chosen = compactorAccess(access("light"), access("sdk"));
  stub(LAMBDA);
  chosen.backend();
  chosen.sharedBackend();
  await chosen.listLocations("s3://b/x", { isStore: () => true, known: () => undefined });
  expect(calls).toEqual(["light one", "light shared", "light list"]);
});

test("the light one has a backend for each of several stores", () => {
  stub(LAMBDA);
  const light = lightAccess();
  expect(light.sharedBackend()).not.toBe(light.sharedBackend());
});
