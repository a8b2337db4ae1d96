/**
 * Counts the files of src that a call crosses: those of which a function runs, by V8's coverage of
 * a real call on S3. `node test/support/files-crossed.mjs` prints the numbers that
 * docs/ARCHITECTURE.md states, and the files of each room.
 */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { Session } from "node:inspector/promises";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const BUILT = join(ROOT, "node_modules/.cache/files-crossed");
const XML = { "content-type": "application/xml" };

const byText = (a, b) => (a < b ? -1 : Number(a > b));

function build() {
  mkdirSync(BUILT, { recursive: true });
  writeFileSync(join(BUILT, "package.json"), '{ "type": "module" }');
  const entries = ["index.ts", "s3/index.ts", "lambda/index.ts"];
  const options =
    "--ignoreConfig --rewriteRelativeImportExtensions --module nodenext --target es2022 --noCheck --types node";
  const paths = ["--rootDir", join(ROOT, "src"), "--outDir", BUILT];
  const sources = entries.map((entry) => join(ROOT, "src", entry));
  const tsc = join(ROOT, "node_modules/typescript/bin/tsc");
  execFileSync(process.execPath, [tsc, ...options.split(" "), ...paths, ...sources]);
}

/** What a store needs of S3, in memory. */
function answer({ method, url, headers }, body, objects) {
  const { pathname, searchParams } = new URL(url, "http://localhost");
  const key = decodeURIComponent(pathname.replace(/^\/bucket\/?/, ""));
  const held = objects.get(key);
  const failure = (status, code) => ({
    status,
    headers: XML,
    body: `<Error><Code>${code}</Code></Error>`,
  });
  if (searchParams.has("list-type")) return listing(objects, searchParams.get("prefix") ?? "");
  if (searchParams.has("delete")) {
    for (const [, path] of body.toString().matchAll(/<Key>([^<]*)<\/Key>/g)) objects.delete(path);
    return { status: 200, headers: XML, body: "<DeleteResult></DeleteResult>" };
  }
  if (method === "PUT") {
    const swapped = headers["if-match"]?.replaceAll('"', "");
    const isRefused = headers["if-none-match"] === "*" ? held !== undefined : false;
    if (isRefused || (swapped !== undefined && swapped !== held?.etag)) {
      return failure(412, "PreconditionFailed");
    }
    const etag = createHash("md5").update(body).update(String(objects.size)).digest("hex");
    objects.set(key, { body, etag, date: new Date() });
    return { status: 200, headers: { etag: `"${etag}"` }, body: "" };
  }
  if (method === "DELETE") {
    objects.delete(key);
    return { status: 204, headers: {}, body: "" };
  }
  return held === undefined ? failure(404, "NoSuchKey") : found(held, headers);
}

function found({ body, etag, date }, headers) {
  const described = { etag: `"${etag}"`, "last-modified": date.toUTCString() };
  if (headers["if-none-match"]?.replaceAll('"', "") === etag) {
    return { status: 304, headers: described, body: "" };
  }
  const [, first, last] = /^bytes=(\d+)-(\d*)$/.exec(headers.range ?? "") ?? [];
  if (first === undefined) return { status: 200, headers: described, body };
  const end = Math.min(last === "" ? Infinity : Number(last), body.length - 1);
  const range = { "content-range": `bytes ${first}-${end}/${body.length}` };
  return {
    status: 206,
    headers: { ...described, ...range },
    body: body.subarray(Number(first), end + 1),
  };
}

function listing(objects, prefix) {
  const paths = [...objects.keys()].filter((path) => path.startsWith(prefix)).toSorted(byText);
  const items = paths.map((path) => {
    const { body, etag, date } = objects.get(path);
    return (
      `<Contents><Key>${encodeURIComponent(path)}</Key><Size>${body.length}</Size>` +
      `<LastModified>${date.toISOString()}</LastModified><ETag>&quot;${etag}&quot;</ETag></Contents>`
    );
  });
  const head = `<EncodingType>url</EncodingType><IsTruncated>false</IsTruncated><KeyCount>${paths.length}</KeyCount>`;
  return {
    status: 200,
    headers: XML,
    body: `<ListBucketResult>${head}${items.join("")}</ListBucketResult>`,
  };
}

async function serve() {
  const objects = new Map();
  const server = createServer(async (request, response) => {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const { status, headers, body } = answer(request, Buffer.concat(chunks), objects);
    response.writeHead(status, { ...headers, "content-length": body.length });
    response.end(body);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return server;
}

async function countCrossed(inspector, name, call) {
  await inspector.post("Profiler.takePreciseCoverage");
  await call();
  const { result } = await inspector.post("Profiler.takePreciseCoverage");
  const base = pathToFileURL(BUILT).href;
  const ran = ({ functionName, ranges }) => functionName !== "" && ranges[0].count > 0;
  const files = result
    .filter(({ url, functions }) => url.startsWith(base) && functions.some(ran))
    .map(({ url }) => url.slice(base.length + 1).replace(/\.js$/, ".ts"));
  const outside = files.filter((file) => !file.startsWith("core/")).toSorted(byText);
  console.log(
    `${name}: ${outside.length} files outside core/, ${files.length - outside.length} in it`,
  );
  for (const room of new Set(outside.map((file) => file.replace(/[^/]*$/, "")))) {
    const inside = outside.filter((file) => file.replace(/[^/]*$/, "") === room);
    console.log(`  ${room} ${inside.map((file) => file.slice(room.length)).join(", ")}`);
  }
}

async function main() {
  build();
  const server = await serve();
  Object.assign(process.env, {
    AWS_ACCESS_KEY_ID: "key",
    AWS_SECRET_ACCESS_KEY: "secret",
    AWS_REGION: "us-east-1",
    AWS_ENDPOINT_URL_S3: `http://127.0.0.1:${server.address().port}`,
  });
  const load = (entry) => import(pathToFileURL(join(BUILT, entry)).href);
  const { Store, compact } = await load("index.js");
  const { S3Backend } = await load("s3/index.js");
  const { withStore } = await load("lambda/index.js");
  const inspector = new Session();
  inspector.connect();
  await inspector.post("Profiler.enable");
  await inspector.post("Profiler.startPreciseCoverage", { callCount: true, detailed: false });
  const location = "s3://bucket/store";
  const options = () => ({ backend: new S3Backend(), agentId: "agent", skipLoad: true });
  const count = (name, call) => countCrossed(inspector, name, call);

  const first = await Store.open(location, options());
  for (let n = 0; n < 30; n++) await first.set(`id-${n}`, { n });
  await first.close();
  await compact(location, { backend: new S3Backend() });

  const made = options();
  let store;
  await count("open", async () => (store = await Store.open(location, made)));
  await store.set("known", { n: 1 });
  await count("set", () => store.set("known", { n: 2 }));
  await count("cold read", () => store.read("id-3"));
  await store.close();
  await count("compaction", () => compact(location, { backend: new S3Backend() }));
  const handler = withStore({ location }, (id, _context, own) => own.update(id, () => ({ n: 3 })));
  const context = (id) => ({ awsRequestId: id, getRemainingTimeInMillis: () => 10_000 });
  await handler("id-4", context("1"));
  await count("invocation", () => handler("id-5", context("2")));
  server.close();
  server.closeAllConnections();
}

await main();
