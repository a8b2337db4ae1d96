/**
 * An HTTP API of one type of record, behind a Lambda Function URL or an API Gateway HTTP API:
 *
 *     GET    /records               records by id; ?prefix= ?limit= (100, at most 1,000) ?cursor=
 *     POST   /records:batch         {"operations": [{"op": "set", "id", "value"}, {"op": "delete",
 *                                   "id"}]}: all or nothing, at most 1,000 and 5 MiB
 *     GET    /records/{id}          the record
 *     PUT    /records/{id}          creates or replaces it; any JSON up to 1 MiB
 *     DELETE /records/{id}
 *     GET    /records/{id}/history  its operations since the last compaction, oldest first
 *
 * A page with more behind it has `next`, and a Link header. Errors are problem+json (RFC 9457).
 * Ids are percent-encoded in the path; "." and ".." cannot be sent in one, only in a batch. (An API
 * Gateway HTTP API decodes the path before the function sees it: behind one, ids that hold "/", "?"
 * or "%" cannot be addressed.)
 *
 * A record's ETag is its version: each write changes it, also one of the same JSON. GET with
 * `If-None-Match` is answered 304 while it is the same. PUT and DELETE with `If-Match` (tags or *),
 * or with `If-None-Match`, are carried out only if the record is as they expect when it is written,
 * whichever processes serve the requests: otherwise they fail with 412 and the current ETag. Of 20
 * PUTs with one ETag, one succeeds. They need a store that was compacted once (503 before that), and
 * tags that nothing on the way has weakened (`W/`), as proxies do that compress.
 *
 *     409  others changed the record again and again; nothing was written
 *     503  the store could not be reached; nothing was written
 *     504  the answer to the write was lost, and what became of it cannot be told
 *
 *     OPSLOG_LOCATION      s3://bucket/prefix, or a directory
 *     OPSLOG_CORS_ORIGIN   origins that browsers may call from, by commas, or *; default none
 */
import { type HttpHandler, toHandler } from "./lambda-http.ts";
import { createRecordsApp, type RecordsOptions } from "./records-app.ts";

export const app = createRecordsApp({
  location: process.env["OPSLOG_LOCATION"],
  corsOrigins: process.env["OPSLOG_CORS_ORIGIN"]?.split(",").map((origin) => origin.trim()),
});
export const handler = toHandler(app);

export function createRecordsHandler(options: RecordsOptions): HttpHandler {
  return toHandler(createRecordsApp(options));
}
