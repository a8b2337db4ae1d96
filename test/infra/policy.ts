/** As much of IAM as the templates use: which requests a set of statements lets through. */
import { flatten, type Resources } from "./support.ts";

export interface Statement {
  readonly Effect: "Allow" | "Deny";
  readonly Action: string | readonly string[];
  readonly Resource: string | readonly string[];
  readonly Condition?: Readonly<Record<string, Readonly<Record<string, string | string[]>>>>;
}

export interface AwsRequest {
  readonly action: string;
  readonly resource: string;
  /** Condition keys that the request carries. */
  readonly context?: Readonly<Record<string, string>>;
}

/** Statements of every policy of a role, references as text. */
export function roleStatements(resources: Resources, role: string): Statement[] {
  return Object.values(resources)
    .filter(({ Type }) => Type === "AWS::IAM::Policy")
    .filter(({ Properties }) => [flatten(Properties["Roles"])].flat().includes(role))
    .flatMap(({ Properties }) => statementsOf(Properties["PolicyDocument"]));
}

/** Statements of the policy of the only bucket that has one. */
export function bucketStatements(resources: Resources): Statement[] {
  return Object.values(resources)
    .filter(({ Type }) => Type === "AWS::S3::BucketPolicy")
    .flatMap(({ Properties }) => statementsOf(Properties["PolicyDocument"]));
}

export function statementsOf(document: unknown): Statement[] {
  const { Statement } = flatten(document) as unknown as { Statement: Statement[] };
  return Statement;
}

/** "action resource" for everything that is allowed, sorted. */
export function grants(statements: readonly Statement[]): string[] {
  return statements
    .flatMap(({ Action, Resource }) =>
      [Action].flat().flatMap((action) => [Resource].flat().map((on) => `${action} ${on}`)),
    )
    .toSorted();
}

export function isAllowed(statements: readonly Statement[], request: AwsRequest): boolean {
  const matching = statements.filter((statement) => matches(statement, request));
  return (
    matching.some(({ Effect }) => Effect === "Allow") &&
    !matching.some(({ Effect }) => Effect === "Deny")
  );
}

export function matches(statement: Statement, request: AwsRequest): boolean {
  const { Action, Resource, Condition = {} } = statement;
  return (
    [Action].flat().some((action) => isLike(request.action, action)) &&
    [Resource].flat().some((resource) => isLike(request.resource, resource)) &&
    Object.entries(Condition).every(([operator, keys]) =>
      Object.entries(keys).every(([key, expected]) =>
        holds(operator, request.context?.[key], [expected].flat()),
      ),
    )
  );
}

function holds(operator: string, found: string | undefined, expected: readonly string[]): boolean {
  switch (operator) {
    case "Null":
      return expected.includes(String(found === undefined));
    case "Bool":
    case "StringEquals":
      return found !== undefined && expected.includes(found);
    case "StringLikeIfExists":
      return found === undefined || expected.some((pattern) => isLike(found, pattern));
    case "StringLike":
      return found !== undefined && expected.some((pattern) => isLike(found, pattern));
    default:
      throw new Error(`the tests do not know the operator ${operator}`);
  }
}

function isLike(text: string, pattern: string): boolean {
  const parts = pattern.split("*").map((part) => part.replace(/[.+?^${}()|[\]\\]/g, "\\$&"));
  return new RegExp(`^${parts.join(".*")}$`, "s").test(text);
}
