/** The runs of a view: those that its manifest names, and the snapshot of a legacy store. */
import type { Run } from "../runs/run.ts";
import type { RunStore } from "../runs/run-store.ts";
import type { View } from "./view.ts";

/** Opened for reading, oldest first. No I/O. */
export function runsOf(store: RunStore, { loaded, original }: View): Run[] {
  const named = loaded.manifest.runs.map((run) => store.open(run));
  return original === undefined ? named : [original.run, ...named];
}

/** Their names, without opening them. */
export function runNames({ loaded, original }: View): string[] {
  const named = loaded.manifest.runs.map(({ path }) => path);
  return original === undefined ? named : [original.run.name, ...named];
}
