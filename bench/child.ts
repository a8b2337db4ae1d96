/** Starts a process for one measurement and takes its answer. */
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { Assignment, Figures } from "./tasks.ts";

const MEASURE = fileURLToPath(new URL("measure.mjs", import.meta.url));

/** What a process answered; undefined if it failed; standard error shows why. */
export async function measure(assignment: Assignment): Promise<Figures | undefined> {
  const child = spawn(process.execPath, [MEASURE, JSON.stringify(assignment)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let answer = "";
  child.stdout.on("data", (data: Buffer) => (answer += data.toString()));
  const code = await new Promise((resolve) => child.on("close", resolve));
  if (code !== 0) return undefined;
  const figures: Figures = JSON.parse(answer);
  return figures;
}
