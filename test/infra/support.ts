/** Stacks to look at: a store with given props, and the example as cdk.json would make it. */
import { readFileSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { App, Stack } from "aws-cdk-lib";
import { Template } from "aws-cdk-lib/assertions";
import { Code } from "aws-cdk-lib/aws-lambda";
import type { CloudFormationStackArtifact } from "aws-cdk-lib/cx-api";
import { exampleApp } from "../../infra/app.ts";
import { OpslogStore } from "../../infra/opslog-store.ts";
import type { OpslogStoreProps } from "../../infra/store-props.ts";
import { projectDirectory } from "../functions/support.ts";

/** Loading the CDK takes seconds, on a busy machine many. */
export const SYNTH_MS = 180_000;

export type Json = string | number | boolean | null | Json[] | { [key: string]: Json };
export interface Resource {
  readonly Type: string;
  readonly Properties: Record<string, unknown>;
  readonly [attribute: string]: unknown;
}
export type Resources = Readonly<Record<string, Resource>>;

export const cdkSettings: { readonly context: Record<string, unknown>; readonly app: string } =
  JSON.parse(readFileSync(join(projectDirectory, "cdk.json"), "utf8"));

/** Stands for the bundle, which synthesis does not read. */
export const CODE = Code.fromInline("exports.handler = () => {};");

export interface Made {
  readonly app: App;
  readonly stack: Stack;
  readonly store: OpslogStore;
}

/** A stack with a store; `props` may make what the store needs in that stack. */
export function makeStore(
  props: OpslogStoreProps | ((stack: Stack) => OpslogStoreProps) = {},
): Made {
  // The rules of CloudFormation take a second for each stack; records-stack.test.ts applies them.
  const app = new App({ context: cdkSettings.context, builtinCloudFormationValidation: false });
  const stack = new Stack(app, "test");
  const given = typeof props === "function" ? props(stack) : props;
  const compactor = { code: CODE, ...given.compactor };
  return { app, stack, store: new OpslogStore(stack, "Store", { ...given, compactor }) };
}

export function resourcesOf({ stack }: { readonly stack: Stack }): Resources {
  return Template.fromStack(stack).toJSON()["Resources"];
}

/** The example with empty bundles in `directory`, checked by cdk-nag. */
export async function synthExample(
  directory: string,
  context: Record<string, unknown> = {},
): Promise<CloudFormationStackArtifact> {
  const functions = join(directory, "functions");
  await mkdir(functions, { recursive: true });
  for (const name of ["records", "compact", "local"]) {
    await writeFile(join(functions, `${name}.mjs`), "export const handler = () => {};");
    await writeFile(join(functions, `${name}.mjs.map`), "{}");
  }
  const app = exampleApp({
    functions,
    context: { ...cdkSettings.context, ...context },
    outdir: join(directory, "out"),
  });
  return app.synth().getStackByName("records");
}

export function ofType(resources: Resources, type: string): [string, Resource][] {
  return Object.entries(resources).filter(([, { Type }]) => Type === type);
}

/** The only resource of a type. */
export function single(resources: Resources, type: string): Resource {
  const [found, ...others] = ofType(resources, type);
  if (found === undefined || others.length > 0) {
    throw new Error(`expected one ${type}, found ${others.length + (found ? 1 : 0)}`);
  }
  return found[1];
}

/** References as text: a Ref as `Name`, an attribute as `Name.Arn`, a Join as what it joins. */
export function flatten(value: unknown): Json {
  if (Array.isArray(value)) return value.map(flatten);
  if (typeof value !== "object" || value === null) return value as Json;
  const [[key, inner] = ["", undefined], ...rest] = Object.entries(value);
  if (rest.length === 0 && key === "Ref") return String(inner);
  if (rest.length === 0 && key === "Fn::GetAtt") return [inner].flat().join(".");
  if (rest.length === 0 && key === "Fn::Join") {
    const [separator, parts] = inner as [string, unknown[]];
    return parts.map((part) => textOf(flatten(part))).join(separator);
  }
  return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, flatten(part)]));
}

function textOf(value: Json): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}
