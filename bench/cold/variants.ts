/** What is compared: a handler, how it is bundled, and what it works on. */
import { join } from "node:path";
import { build } from "esbuild";
import { gzipSync } from "node:zlib";
import { readFile } from "node:fs/promises";
import { settings } from "../../esbuild.settings.mjs";

/** Whose store it reads and writes; "none" is asked nothing, "objects" are one per record. */
export type Data = "none" | "objects" | "ours" | "original";

export interface Variant {
  readonly name: string;
  readonly data: Data;
  readonly entry: string;
  /** Takes HTTP events. */
  readonly http?: boolean;
  readonly light?: boolean;
  /** Without the plugins of esbuild.settings.mjs. */
  readonly plain?: boolean;
  /** Started with V8's compile cache, filled before; on Node 22 and later. */
  readonly cached?: boolean;
}

/** What the others are compared with. */
export const BASE = "bare SDK";
export const OURS = "ours";
export const LIGHT = "ours, light";
export const ORIGINAL = "original";

const handler = (name: string): string => `bench/cold/handlers/${name}.ts`;
const RECORDS = "functions/records.ts";

export const VARIANTS: readonly Variant[] = [
  { name: "empty handler", data: "none", entry: handler("empty") },
  { name: "bare SDK, no plugins", data: "objects", entry: handler("bare"), plain: true },
  { name: BASE, data: "objects", entry: handler("bare") },
  { name: OURS, data: "ours", entry: handler("ours") },
  { name: LIGHT, data: "ours", entry: handler("ours"), light: true },
  { name: ORIGINAL, data: "original", entry: handler("original") },
  { name: `${ORIGINAL}, no plugins`, data: "original", entry: handler("original"), plain: true },
  { name: "records service", data: "ours", entry: RECORDS, http: true },
  { name: "records service, light", data: "ours", entry: RECORDS, http: true, light: true },
  { name: `${BASE}, compile cache`, data: "objects", entry: handler("bare"), cached: true },
  { name: `${OURS}, compile cache`, data: "ours", entry: handler("ours"), cached: true },
  {
    name: `${LIGHT}, compile cache`,
    data: "ours",
    entry: handler("ours"),
    light: true,
    cached: true,
  },
];

export interface Bundle {
  readonly path: string;
  readonly bytes: number;
  readonly gzipBytes: number;
}

/** Bundles a variant as functions are for Lambda. */
export async function bundle(variant: Variant, directory: string): Promise<Bundle> {
  const { entry, light, plain } = variant;
  const name = variant.name.replaceAll(/\W+/g, "-");
  const alias = { "opslog-serverless/lambda": "opslog-serverless/lambda/light" };
  await build({
    ...settings,
    entryPoints: [{ in: entry, out: name }],
    outdir: directory,
    ...(light === true ? { alias } : {}),
    ...(plain === true ? { plugins: [] } : {}),
  });
  const path = join(directory, `${name}.mjs`);
  const code = await readFile(path);
  return { path, bytes: code.length, gzipBytes: gzipSync(code).length };
}
