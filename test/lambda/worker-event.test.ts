/** The event of a worker: its shape, and what is refused. */
import { describe, expect, test } from "vitest";
import { tasksIn } from "../../src/lambda/worker-event.ts";

const TASK = { location: "s3://bucket/a", kind: "log", index: 1, of: 4 };
const EVENT = { opslogTask: TASK };
const OTHER = { opslogTask: { location: "./data", kind: "units", index: 0, of: 1 } };
const message = (event: unknown) => ({ eventSource: "aws:sqs", body: JSON.stringify(event) });

describe("a task is found", () => {
  test.each([
    ["as the event", EVENT, [TASK]],
    ["beside what others add", { ...EVENT, attempt: 1 }, [TASK]],
    ["in messages of SQS", { Records: [EVENT, OTHER].map(message) }, [TASK, OTHER.opslogTask]],
    ["in SNS", { Records: [{ Sns: { Message: JSON.stringify(EVENT) } }] }, [TASK]],
  ])("%s", (_, event, tasks) => {
    expect(tasksIn(event)).toEqual(tasks);
  });
});

test.each([
  [undefined],
  [null],
  ["text"],
  [{}],
  [{ location: "s3://bucket/a" }],
  [{ "detail-type": "Scheduled Event", detail: EVENT }],
  [{ Records: [message({ location: "s3://bucket/a" }), { body: "no JSON" }, null] }],
])("%j is no event of a worker", (event) => {
  expect(tasksIn(event)).toEqual([]);
});

describe("refused is", () => {
  test.each([
    [null, /opslogTask: expected location, kind, index, of, found null/],
    ["log", /opslogTask: expected location, kind, index, of, found "log"/],
    [[], /opslogTask: .* found \[\]/],
    [{ ...TASK, full: true }, /opslogTask: .* found \{.*"full":true\}/],
    [{ ...TASK, location: "" }, /opslogTask: .* found \{"location":""/],
    [{ ...TASK, location: 1 }, /opslogTask: .* found \{"location":1/],
    [
      { ...TASK, kind: "all" },
      /no task of a compaction: .*"all".*; expected kind "log" or "units"/,
    ],
    [{ ...TASK, of: 0 }, /"of":0\}; expected .* 0 <= index < of <= 16/],
    [{ ...TASK, of: 17 }, /"of":17\}; expected/],
    [{ ...TASK, of: "4" }, /"of":"4"\}; expected/],
    [{ ...TASK, index: 4 }, /"index":4,"of":4\}; expected/],
    [{ ...TASK, index: -1 }, /"index":-1/],
    [{ ...TASK, index: 0.5 }, /"index":0.5/],
    [{ location: "s3://bucket/a", kind: "log" }, /no task of a compaction: \{"kind":"log"\}/],
  ])("%j", (task, expected) => {
    expect(() => tasksIn({ opslogTask: task })).toThrow(expected);
    expect(() => tasksIn({ Records: [message({ opslogTask: task })] })).toThrow(expected);
  });
});
