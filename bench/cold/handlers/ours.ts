/** Ours; with another name of the import, through the light client. */
import { withStore } from "opslog-serverless/lambda";
import type { TaskEvent, TaskHandler } from "./task.ts";

export const handler: TaskHandler = withStore<object, TaskEvent>(
  { location: process.env["OPSLOG_LOCATION"] },
  ({ op, id, value = {} }, _context, store) =>
    op === "read" ? store.read(id) : store.set(id, value),
);
