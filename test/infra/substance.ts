/** Two templates made comparable: the one of the CDK, and the one written by hand. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { parse } from "yaml";
import { projectDirectory } from "../functions/support.ts";
import { grants, roleStatements, type Statement, statementsOf } from "./policy.ts";
import { flatten, type Json, type Resources } from "./support.ts";

/** Names in the plain template, and how the CDK's begin; the longest first. */
const NAMES: readonly (readonly [string, string])[] = [
  ["CompactInvocations", "StoreCompactorCompactFunctionEventInvokeConfig"],
  ["CompactFunction", "StoreCompactorCompactFunction"],
  ["CompactRole", "StoreCompactorCompactRole"],
  ["CompactLogs", "StoreCompactorCompactLogs"],
  ["ScheduleRole", "StoreCompactorScheduleRole"],
  ["CompactSchedule", "StoreCompactorSchedule"],
  ["DeadLettersPolicy", "StoreCompactorDeadLettersPolicy"],
  ["DeadLettersAlarm", "StoreAlarmsDeadLetters"],
  ["DeadLetters", "StoreCompactorDeadLetters"],
  ["BacklogAgeAlarm", "StoreAlarmsBacklogAge"],
  ["BacklogSegmentsAlarm", "StoreAlarmsBacklogSegments"],
  ["FallingBehindAlarm", "StoreAlarmsFallingBehind"],
  ["CompactorFailingAlarm", "StoreAlarmsCompactorFailing"],
  ["CompactorSilentAlarm", "StoreAlarmsCompactorSilent"],
  ["BucketPolicy", "StoreBucketPolicy"],
  ["Bucket", "StoreBucket"],
  ["RecordsUrl", "RecordsFunctionFunctionUrl"],
  ["RecordsFunction", "RecordsFunction"],
  ["RecordsRole", "RecordsRole"],
  ["RecordsLogs", "RecordsLogs"],
];

/** Where the code lies, who hears of alarms, and policies, which are compared by what they allow. */
const LEFT_OUT = ["Code", "AlarmActions", "OKActions", "Policies", "PolicyDocument"];

/** Resources of infra/template.yaml, other parameters at their defaults, references as text. */
export async function readPlainTemplate({ parallel = 1 } = {}): Promise<Resources> {
  const text = await readFile(join(projectDirectory, "infra/template.yaml"), "utf8");
  const plain = text
    .replaceAll("${Prefix}", "store")
    .replaceAll("!Ref LogRetentionDays", "30")
    .replaceAll(/^.*!If \[FansOut,.*\n/gm, (line) => (parallel > 1 ? line : ""))
    .replaceAll(/!If \[FansOut, !Ref Parallel, .*\]/g, `"${parallel}"`)
    .replaceAll("!Ref Parallel", String(parallel));
  // Tags are left away, so that `!GetAtt A.Arn` is read as "A.Arn"; in `!Sub` stands `${A.Arn}`.
  const parsed = parse(plain.replace(/\$\{([\w.:]+)\}/g, "$1"), { logLevel: "error" });
  const resources = Object.entries<Resources[string]>(parsed.Resources);
  const made = resources.filter(([, { Condition }]) => Condition === undefined || parallel > 1);
  return Object.fromEntries(made);
}

/** Each resource by its plain name: what it is, and what it or its policies say. */
export function substance(resources: Resources): Record<string, Json> {
  const named: Resources = JSON.parse(rename(JSON.stringify(resources)));
  const parts: Record<string, Json> = {};
  for (const [name, { Type, Properties }] of Object.entries(named)) {
    if (Type === "AWS::IAM::Policy") continue;
    const kept = Object.entries(Properties).filter(([key]) => !LEFT_OUT.includes(key));
    const properties = flatten(Object.fromEntries(kept));
    const policy = statementsAt(named, name).flatMap(lines).toSorted();
    parts[name] = { Type, Properties: properties, policy };
  }
  return parts;
}

function rename(text: string): string {
  return NAMES.reduce(
    (renamed, [plain, ours]) =>
      renamed.replace(new RegExp(`"${ours}[0-9A-F]{8}"`, "g"), `"${plain}"`),
    text,
  );
}

function statementsAt(resources: Resources, name: string): Statement[] {
  const { PolicyDocument, Policies = [] } = resources[name]?.Properties ?? {};
  const inline = [Policies].flat() as { PolicyDocument: unknown }[];
  return [
    ...(PolicyDocument === undefined ? [] : statementsOf(PolicyDocument)),
    ...inline.flatMap((policy) => statementsOf(policy.PolicyDocument)),
    ...roleStatements(resources, name),
  ];
}

function lines(statement: Statement): string[] {
  const condition = JSON.stringify(statement.Condition ?? {}, (_key, value: unknown) =>
    // One value and a list of one are the same.
    Array.isArray(value) && value.length === 1 ? value[0] : value,
  );
  return grants([statement]).map((grant) => `${statement.Effect} ${grant} ${condition}`);
}
