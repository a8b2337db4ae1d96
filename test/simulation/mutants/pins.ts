/** Seeds that find mutants, by the mutant's name: written by `npm run simulate:mutants -- --pin`. */
import { readFileSync } from "node:fs";

const parsed: unknown = JSON.parse(readFileSync(new URL("pins.json", import.meta.url), "utf8"));

export const PINS: ReadonlyMap<string, number> = new Map(
  Object.entries(Object(parsed)).map(([name, seed]) => [name, Number(seed)]),
);
