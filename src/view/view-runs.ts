/** The runs of a view: those that its manifest names, and the snapshot of a legacy store. */
import type { Run } from "../runs/run.ts";
import type { RunStore } from "../runs/run-reader.ts";
import type { View } from "./view.ts";

/** Opened for reading, oldest first. No I/O. */
export function runsOf(store: RunStore, { loaded, legacy }: View): Run[] {
  const named = loaded.manifest.runs.map((run) => store.open(run));
  return legacy === undefined ? named : [legacy.run, ...named];
}

/** Their names, without opening them. */
export function runNames({ loaded, legacy }: View): string[] {
  const named = loaded.manifest.runs.map(({ path }) => path);
  return legacy === undefined ? named : [legacy.run.name, ...named];
}
