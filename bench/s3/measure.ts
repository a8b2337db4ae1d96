/** One assignment in a process of its own: given as an argument, answered in messages. */
import { directEndpoint } from "./scenarios.ts";
import * as scenarios from "./scenarios.ts";
import { fill, writeLog } from "./fill.ts";
import { meter, tell } from "./meter.ts";
import { WrongAnswer } from "./records.ts";
import type { Assignment } from "./tasks.ts";

function run(assignment: Assignment): Promise<void> {
  const { engine, place, task } = assignment;
  switch (task.name) {
    case "fill":
      return fill(engine, place, directEndpoint(), task.records);
    case "log":
      return writeLog(engine, place, directEndpoint(), task.writes);
    case "point-read":
      return scenarios.pointRead(assignment, meter, task);
    case "read-many":
      return scenarios.readMany(assignment, meter, task);
    case "scan":
      return scenarios.scan(assignment, meter, task);
    case "cold-write":
      return scenarios.coldWrite(assignment, meter);
    case "concurrent-writers":
      return scenarios.concurrentWriters(assignment, meter, task);
    case "open-log":
      return scenarios.openLog(assignment, meter, task);
    case "open-log-eager":
      return scenarios.openLogEager(assignment, meter, task);
    case "compact-log":
      return scenarios.compactLog(assignment, meter, task);
    case "refresh":
      return scenarios.refresh(assignment, meter);
  }
}

const assignment: Assignment = JSON.parse(process.argv[2] ?? "");
try {
  await run(assignment);
} catch (error) {
  console.error(error);
  const isWrongAnswer = error instanceof WrongAnswer;
  await tell({ kind: "failed", message: String(error), isWrongAnswer });
}
// Stores are left open where closing is not what is measured: sockets must not keep the process.
process.exit();
