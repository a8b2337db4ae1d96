/**
 * Writes the API reference of all entry points to docs/api: `npm run docs`. Ends with an error for
 * an export, or a member of one, without a docstring. TypeDoc needs TypeScript's JavaScript API,
 * which TypeScript 7 does not have: it is run with the 5.9 that is installed beside it.
 */
import { register } from "node:module";
import { fileURLToPath } from "node:url";

const resolveHook = `
  export const resolve = (name, context, next) =>
    next(name === "typescript" ? "typescript-js-api" : name, context);
`;
register(`data:text/javascript,${encodeURIComponent(resolveHook)}`);
const { Application } = await import("typedoc");

const root = fileURLToPath(new URL("..", import.meta.url));
const entries = ["", "s3/", "s3/light/", "lambda/", "lambda/light/", "powertools/", "testing/"];
/** Members of unions and of parameters, which the docstring of the whole explains. */
const EXPLAINED_BY_WHOLE = [
  "index.GetResult.status",
  "index.Precondition.ifAbsent",
  "index.Precondition.ifMatch",
  "index.PutResult.status",
  "index.PutResult.etag",
  "index.Storable.toJSON",
  "index.Freshness.maxStaleMs",
  "lambda.FleetCompactorOptions.discover.under",
  "lambda.StoreOutcome.location",
  "lambda.StoreOutcome.outcome",
  "lambda.StoreOutcome.report",
  "lambda.StoreOutcome.error",
  "lambda.StoreContext.store",
  "../infra.METRICS.DurationMs",
].map((name) => name.replace(/\.(?=\w+$)/, ".__type."));
const app = await Application.bootstrapWithPlugins({
  entryPoints: [...entries.map((path) => `${root}src/${path}index.ts`), `${root}infra/index.ts`],
  tsconfig: `${root}tsconfig.json`,
  basePath: `${root}src`,
  displayBasePath: `${root}src`,
  out: `${root}docs/api`,
  name: "opslog-serverless",
  readme: "none",
  githubPages: false,
  disableSources: true,
  excludeInternal: true,
  excludePrivate: true,
  excludeExternals: true,
  validation: { notDocumented: true, notExported: false, invalidLink: true },
  intentionallyNotDocumented: EXPLAINED_BY_WHOLE,
  treatValidationWarningsAsErrors: true,
});
const project = await app.convert();
if (project === undefined) process.exit(1);
app.validate(project);
if (!app.logger.hasErrors() && !app.logger.hasWarnings()) await app.generateOutputs(project);
process.exitCode = app.logger.hasErrors() || app.logger.hasWarnings() ? 1 : 0;
