/** Pages of a list: the requested range, and the name of the next one. */
import type { Store } from "opslog-serverless";
import { json, type JsonValue, Problem } from "./http.ts";

const LIMIT_DEFAULT = 100;
const LIMIT_MAX = 1_000;
/** A page ends early above this: Lambda answers with at most 6 MB, every quote escaped. */
const PAGE_BYTES_MAX = 2 * 1024 * 1024;

export interface Page {
  readonly prefix: string;
  readonly limit: number;
  /** The last id of the page before. */
  readonly after: string | undefined;
}

/** @throws Problem 400 */
export function parsePage(query: URLSearchParams): Page {
  const given = query.get("limit");
  const limit = given === null ? LIMIT_DEFAULT : Number(given);
  if (!/^\d+$/.test(given ?? "1") || limit < 1 || limit > LIMIT_MAX) {
    throw new Problem(400, `limit: expected a whole number from 1 to ${LIMIT_MAX}.`);
  }
  const cursor = query.get("cursor");
  const after = cursor === null ? undefined : decodeCursor(cursor);
  return { prefix: query.get("prefix") ?? "", limit, after };
}

export async function listPage(store: Store<JsonValue>, page: Page): Promise<Response> {
  const { prefix, limit, after } = page;
  // Nothing lies between an id and the same with a zero behind it.
  const from = after === undefined ? "" : `${after}\0`;
  const records: string[] = [];
  let [bytes, last] = [0, ""];
  let next: string | undefined;
  for await (const [id, value] of store.scan({ prefix, from, limit: limit + 1 })) {
    const text = JSON.stringify({ id, value });
    bytes += Buffer.byteLength(text);
    if (records.length === limit || (records.length > 0 && bytes > PAGE_BYTES_MAX)) {
      next = pathOf({ prefix, limit, after: last });
      break;
    }
    records.push(text);
    last = id;
  }
  const link = next === undefined ? "" : `,"next":${JSON.stringify(next)}`;
  const headers = next === undefined ? {} : { link: `<${next}>; rel="next"` };
  return json(200, `{"records":[${records.join(",")}]${link}}`, headers);
}

function pathOf({ prefix, limit, after = "" }: Page): string {
  const query = new URLSearchParams({ ...(prefix === "" ? {} : { prefix }), limit: `${limit}` });
  // As JSON, which also carries halves of surrogate pairs.
  query.set("cursor", Buffer.from(JSON.stringify(after)).toString("base64url"));
  return `/records?${query.toString()}`;
}

function decodeCursor(cursor: string): string {
  try {
    const id: unknown = JSON.parse(Buffer.from(cursor, "base64url").toString());
    if (typeof id === "string") return id;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  throw new Problem(400, "cursor: expected one that a page before named.");
}
