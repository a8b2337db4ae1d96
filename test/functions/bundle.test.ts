import { readFile } from "node:fs/promises";
import { builtinModules } from "node:module";
import { join } from "node:path";
import { build } from "esbuild";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { settings } from "../../esbuild.settings.mjs";
import { recordingProxy } from "../support/recording-proxy.ts";
import { tempDir } from "../support/temp-dir.ts";
import { bundleInto, httpEvent, projectDirectory, runModule } from "./support.ts";

type TempDir = Awaited<ReturnType<typeof tempDir>>;
let bundles: TempDir;
let printed: string;

beforeAll(async () => {
  bundles = await tempDir();
  printed = await bundleInto(bundles.path);
});

afterAll(() => bundles[Symbol.asyncDispose]());

/** What a module prints as its last line, run where there is nothing but the bundles. */
async function run(source: string, env?: Record<string, string>): Promise<unknown> {
  const { stdout } = await runModule(`${CONTEXT}${source}`, bundles.path, env);
  return JSON.parse(stdout.trim().split("\n").at(-1) ?? "");
}

const CONTEXT = `
  const context = { awsRequestId: "request-1", getRemainingTimeInMillis: () => 60000 };
`;
const LIGHT_HANDLER = `
  import { withStore } from "opslog-serverless/lambda/light";
  export const handler = withStore({ location: process.env.OPSLOG_LOCATION }, (event, context, store) =>
    store.read(event.id),
  );
`;
const UNDICI_LOADED = `process.moduleLoadList.some((name) => name.endsWith("undici/undici"))`;
const LIST = JSON.stringify(httpEvent({ method: "GET", target: "/records" }));

/** About 3 % above what they have. What is added here is read and parsed at every cold start. */
const BUDGETS_KB = { records: 716, compact: 600, light: 380 };

describe("the bundle of", () => {
  test("each function keeps to its budget", async () => {
    await build({
      ...settings,
      stdin: { contents: LIGHT_HANDLER, resolveDir: projectDirectory },
      outfile: join(bundles.path, "light.mjs"),
    });
    for (const [name, mostKB] of Object.entries(BUDGETS_KB)) {
      const { length: bytes } = await readFile(join(bundles.path, `${name}.mjs`));
      expect(bytes / 1_000, `kB of ${name}.mjs`).toBeLessThan(mostKB);
      // A budget that is far away would notice nothing.
      expect(bytes / 1_000, `kB of ${name}.mjs`).toBeGreaterThan(mostKB * 0.85);
    }
  });

  test("records serves requests from a directory, and compact compacts it", async () => {
    await using data = await tempDir();
    const put = httpEvent({ method: "PUT", target: "/records/a%2F1", body: '{"n":1}' });
    const result = await run(
      `
      const { handler } = await import("./records.mjs");
      const put = await handler(${JSON.stringify(put)}, context);
      const compact = await import("./compact.mjs");
      const report = await compact.handler({}, context);
      const list = await handler(${LIST}, context);
      const parameters = [handler.length, compact.handler.length];
      console.log(JSON.stringify({ put, report, list, parameters }));
      `,
      { OPSLOG_LOCATION: data.path },
    );
    expect(result).toMatchObject({
      put: { statusCode: 201, body: '{"n":1}' },
      report: { outcome: "published", records: 1 },
      list: { statusCode: 200, body: '{"records":[{"id":"a/1","value":{"n":1}}]}' },
      parameters: [2, 2],
    });
  });

  test.each(["records", "compact"])("%s loads without its variable, and names it", async (name) => {
    const { stdout, stderr } = await runModule(
      `${CONTEXT}
      const { handler } = await import("./${name}.mjs");
      await handler(${LIST}, context).catch(console.error);`,
      bundles.path,
    );
    // The name of the error's class, in spite of minification.
    expect(stderr).toMatch(
      /^InvalidArgumentError: the option location is missing.*OPSLOG_LOCATION/,
    );
    expect(stdout).toContain(name === "compact" ? '"error":"InvalidArgumentError' : "");
  });

  // Not so records: Hono takes and gives the Request and Response of undici.
  test("compact sends requests without loading undici", async () => {
    await using server = await recordingProxy("http://127.0.0.1:9");
    server.fault = () => ({ status: 403, body: "<Error><Code>AccessDenied</Code></Error>" });
    const result = await run(
      `
      const { handler } = await import("./compact.mjs");
      await handler(${LIST}, context).catch(() => undefined);
      console.log(JSON.stringify({ undici: ${UNDICI_LOADED} }));
      `,
      {
        OPSLOG_LOCATION: "s3://bucket/store",
        AWS_ENDPOINT_URL_S3: server.endpoint,
        AWS_REGION: "us-east-1",
        AWS_ACCESS_KEY_ID: "test",
        AWS_SECRET_ACCESS_KEY: "test",
      },
    );
    expect(result).toEqual({ undici: false });
    expect(server.requests.map(({ path }) => path)).toContain("/bucket/store/manifest.json");
  });

  test("compact signs with the credentials of its environment, and says when there are none", async () => {
    await using server = await recordingProxy("http://127.0.0.1:9");
    server.fault = () => ({ status: 403, body: "<Error><Code>AccessDenied</Code></Error>" });
    const compact = (env: Record<string, string>): Promise<unknown> =>
      run(
        `
        const { handler } = await import("./compact.mjs");
        const error = await handler({}, context).catch((error) => String(error));
        console.log(JSON.stringify(error));
        `,
        {
          OPSLOG_LOCATION: "s3://bucket/store",
          AWS_ENDPOINT_URL_S3: server.endpoint,
          AWS_REGION: "eu-central-1",
          ...env,
        },
      );
    expect(await compact({})).toMatch(/CredentialsProviderError|credential/i);
    expect(server.requests).toEqual([]);
    const credentials = { AWS_ACCESS_KEY_ID: "AKIDEXAMPLE", AWS_SECRET_ACCESS_KEY: "secret" };
    await compact({ ...credentials, AWS_SESSION_TOKEN: "session" });
    expect(server.requests[0]?.requestHeaders).toMatchObject({
      authorization: expect.stringMatching(/Credential=AKIDEXAMPLE\/\d{8}\/eu-central-1\/s3\//),
      "x-amz-security-token": "session",
    });
  });

  test("local looks for credentials as other programs do, the functions do not", async () => {
    const looks = async (name: string): Promise<boolean> =>
      (await readFile(join(bundles.path, `${name}.mjs`), "utf8")).includes("sso_start_url");
    expect([await looks("local"), await looks("records"), await looks("compact")]).toEqual([
      true,
      false,
      false,
    ]);
  });

  test.each(["records", "compact", "local"])("%s is one file with a source map", async (name) => {
    const code = await readFile(join(bundles.path, `${name}.mjs`), "utf8");
    expect(code).toContain(`//# sourceMappingURL=${name}.mjs.map`);
    const map: unknown = JSON.parse(await readFile(join(bundles.path, `${name}.mjs.map`), "utf8"));
    expect(map).toMatchObject({ version: 3 });
    // Imported by name they would load all they export, with http undici on Node 22 and later.
    expect(code).not.toMatch(new RegExp(`\\bfrom\\s*"(node:)?(${builtinModules.join("|")})"`));
    expect(printed).toMatch(new RegExp(`${name}\\.mjs +\\d+ kB, \\d+ kB gzipped`));
  });
});
