/** A compactor that is a script, as docs/operations.md shows it: workers are processes of the same script. */
import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { createCompactor } from "opslog-serverless/lambda/light";

const [, script = "", task] = process.argv;
const compact = createCompactor({
  location: process.env["OPSLOG_LOCATION"],
  parallel: Number(process.env["OPSLOG_PARALLEL"] ?? 4),
  metrics: false,
  startWorker: (event) => {
    spawn(process.execPath, [script, JSON.stringify(event)], { stdio: "inherit" });
  },
});
const endMs = Date.now() + 300_000;
await compact(task === undefined ? {} : JSON.parse(task), {
  awsRequestId: randomUUID(),
  getRemainingTimeInMillis: () => endMs - Date.now(),
});
