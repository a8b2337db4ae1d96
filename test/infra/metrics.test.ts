/** Alarms stand on what the compactor writes: names and namespace in two places that never meet. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { MemoryBackend } from "opslog-serverless";
import { createCompactor } from "opslog-serverless/lambda";
import { expect, test } from "vitest";
import { METRICS, storeMetric } from "../../infra/store-alarms.ts";
import { projectDirectory } from "../functions/support.ts";
import { capturedOutput } from "../lambda/compactor-support.ts";
import { lambdaContext } from "../lambda/support.ts";

const { printed, log } = capturedOutput();

test("every metric of the construct is one that the compactor writes, and the other way round", async () => {
  const location = "s3://bucket/store";
  const backend = new MemoryBackend();
  await createCompactor({ location, backend, log, parallel: 2 })({}, lambdaContext());
  const line: Record<string, unknown> = JSON.parse(printed[0] ?? "");
  const { _aws, ...values } = line;
  expect(Object.keys(values).toSorted()).toEqual(["Store", ...Object.keys(METRICS)].toSorted());
  const { namespace, dimensions } = storeMetric(location, "BacklogAgeMs");
  expect(_aws).toMatchObject({
    CloudWatchMetrics: [{ Namespace: namespace, Dimensions: [Object.keys(dimensions ?? {})] }],
  });
  expect(dimensions).toEqual({ Store: values["Store"] });
});

test("every metric has its place in the table of docs/operations.md", () => {
  const text = readFileSync(join(projectDirectory, "docs/operations.md"), "utf8");
  const [, section = ""] = text.split("## Metrics\n");
  const rows = section.split("\n## ")[0]?.match(/^\| `.*?\|/gm) ?? [];
  const names = rows.flatMap((row) => [...row.matchAll(/`(\w+)`/g)].map(([, name = ""]) => name));
  expect(names.toSorted()).toEqual(Object.keys(METRICS).toSorted());
});
