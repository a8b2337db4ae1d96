/** The parent's side of a measurement: starts a process and notes what its sections cost. */
import { fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import { costOf } from "./cost.ts";
import type { LatencyProxy } from "./proxy.ts";
import type { Assignment, Figures, FromChild } from "./tasks.ts";

const MEASURE = fileURLToPath(new URL("measure.mjs", import.meta.url));
/** Loading a million records takes more than the default allows. */
const HEAP_MB = 4_096;

export interface Measured {
  readonly sections: ReadonlyMap<string, Figures>;
  /** Why sections are missing, by section; of all others under "". */
  readonly reasons: ReadonlyMap<string, string>;
}

/** @throws Error when an answer was wrong, or when ours failed in any way */
export async function measure(assignment: Assignment, proxy: LatencyProxy): Promise<Measured> {
  const sections = new Map<string, Figures>();
  const reasons = new Map<string, string>();
  let isWrong = false;
  const hear = (message: FromChild): void => {
    switch (message.kind) {
      case "begin":
        proxy.reset();
        break;
      case "end": {
        const { wallMs, peakRssBytes } = message;
        const { requests, ...cost } = costOf(proxy.requests);
        sections.set(message.section, { ...requests, ...cost, wallMs, peakRssBytes });
        break;
      }
      case "also":
        sections.set(message.section, { ...sections.get(message.section), ...message.figures });
        break;
      case "not-available":
        reasons.set(message.section, message.reason);
        break;
      case "failed":
        isWrong = message.isWrongAnswer;
        reasons.set("", message.message);
    }
  };
  const child = fork(MEASURE, [JSON.stringify(assignment)], {
    execArgv: ["--enable-source-maps", `--max-old-space-size=${HEAP_MB}`],
    stdio: ["ignore", "inherit", "inherit", "ipc"],
  });
  child.on("message", (message: FromChild) => {
    hear(message);
    child.send("heard");
  });
  const end = await new Promise((resolve) => {
    child.on("close", (code, signal) => resolve(signal ?? code));
  });
  if (end !== 0 && !reasons.has("")) reasons.set("", `the process ended with ${String(end)}`);
  const failure = reasons.get("");
  if (failure !== undefined && (isWrong || assignment.engine === "ours")) {
    throw new Error(`${assignment.engine}, ${JSON.stringify(assignment.task)}: ${failure}`);
  }
  return { sections, reasons };
}
