/**
 * Measures @gusto/baerly-storage through its S3 adapter for Node, in a process of its own because it
 * needs Node 24. Prints one line of JSON: the figures by scenario, as `bench/s3/contention/main.ts`
 * has them of ours.
 */
import { Db } from "@gusto/baerly-storage";
import { S3HttpStorage, sigV4Signer } from "@gusto/baerly-storage/s3";

const { OPSLOG_TEST_S3_ENDPOINT: endpoint, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY } = process.env;
const { bucket, calls, clients, seconds } = JSON.parse(process.argv[2]);

/** Counts requests, and round trips: requests that begin while none is under way. */
class Meter {
  requests = { get: 0, head: 0, put: 0, list: 0, delete: 0 };
  roundTrips = 0;
  #underWay = 0;

  fetch = async (input, init) => {
    const request = new Request(input, init);
    const isList = request.method === "GET" && new URL(request.url).searchParams.has("list-type");
    this.requests[isList ? "list" : request.method.toLowerCase()]++;
    if (this.#underWay++ === 0) this.roundTrips++;
    try {
      return await fetch(request);
    } finally {
      this.#underWay--;
    }
  };
}

/** Ceph RGW refuses each PUT over a quoted etag; without this the log would never be compacted there. */
function unquoted(request) {
  const etag = request.headers.get("if-match");
  if (etag === null) return request;
  const headers = new Headers(request.headers);
  headers.set("if-match", etag.replaceAll('"', ""));
  return new Request(request, { headers });
}

function open(meter, tenant) {
  const sign = sigV4Signer({
    accessKeyId: AWS_ACCESS_KEY_ID,
    secretAccessKey: AWS_SECRET_ACCESS_KEY,
    region: "us-east-1",
  });
  const storage = new S3HttpStorage({
    endpoint,
    bucket,
    sign: (request) => sign(unquoted(request)),
    fetch: meter.fetch,
  });
  return Db.create({ storage, app: "bench", tenant }).collection("records");
}

/** One client, one call after the other. */
async function alone(tenant, prepare, call) {
  const meter = new Meter();
  const collection = open(meter, tenant);
  const prepared = await prepare(collection);
  meter.requests = { get: 0, head: 0, put: 0, list: 0, delete: 0 };
  meter.roundTrips = 0;
  const startedMs = performance.now();
  for (let n = 0; n < calls; n++) await call(collection, prepared, n);
  const ms = performance.now() - startedMs;
  return { requests: meter.requests, roundTrips: meter.roundTrips, calls, ms };
}

/** Its own key: a condition may not name `_id`. */
const recordOf = (n) => ({
  key: `key-${n}`,
  rev: 0,
  title: `record ${n}`,
  padding: "x".repeat(200),
});

/** Clients that share nothing: each inserts one record. */
async function insertTogether() {
  const meters = Array.from({ length: clients }, () => new Meter());
  const collections = meters.map((meter) => open(meter, "together"));
  const startedMs = performance.now();
  const outcomes = await Promise.allSettled(
    collections.map((collection, n) => collection.insert(recordOf(n))),
  );
  const ms = performance.now() - startedMs;
  const done = outcomes.filter(({ status }) => status === "fulfilled").length;
  const stored = await open(new Meter(), "together").count();
  return { ...sumOf(meters), calls: clients, done, stored, ms };
}

/** Clients that increment one record as long as time is, each by its condition on what it read. */
async function contend(count) {
  const tenant = `contend-${count}`;
  const { _id } = await open(new Meter(), tenant).insert(recordOf(0));
  const meters = Array.from({ length: count }, () => new Meter());
  const startedMs = performance.now();
  const untilMs = startedMs + seconds * 1_000;
  let done = 0;
  let errors = 0;
  await Promise.all(
    meters.map(async (meter) => {
      const collection = open(meter, tenant);
      while (performance.now() < untilMs) {
        try {
          const { rev } = await collection.get(_id);
          const { modified } = await collection
            .where({ key: "key-0", rev })
            .update({ rev: rev + 1 });
          done += modified;
        } catch {
          errors++;
        }
      }
    }),
  );
  const ms = performance.now() - startedMs;
  const { rev } = await open(new Meter(), tenant).get(_id);
  return { ...sumOf(meters), calls: done, done, stored: rev, errors, ms };
}

function sumOf(meters) {
  const requests = { get: 0, head: 0, put: 0, list: 0, delete: 0 };
  for (const meter of meters) for (const name in requests) requests[name] += meter.requests[name];
  return { requests, roundTrips: meters.reduce((sum, meter) => sum + meter.roundTrips, 0) };
}

const none = async () => undefined;
const insertOne = async (collection) => (await collection.insert(recordOf(0)))._id;
const figures = {
  insert: await alone("insert", none, (collection, _, n) => collection.insert(recordOf(n))),
  read: await alone("read", insertOne, (collection, id) => collection.get(id)),
  "conditional update": await alone("update", insertOne, async (collection, _, n) => {
    const { modified } = await collection.where({ key: "key-0", rev: n }).update({ rev: n + 1 });
    if (modified !== 1) throw new Error(`${modified} records were changed`);
  }),
  "inserts at once": await insertTogether(),
};
for (const count of [2, 10]) figures[`one record, ${count} clients`] = await contend(count);
console.log(JSON.stringify(figures));
