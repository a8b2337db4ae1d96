/** Optimistic concurrency: a record's ETag is a hash of its JSON, and preconditions name one. */
import { hash } from "node:crypto";
import { Problem } from "./http.ts";

/** Strong: equal for equal bytes of a representation, and for these alone. */
export function etagOf(text: string): string {
  return `"${hash("sha256", text, "base64url")}"`;
}

/** Whether `If-None-Match` names the representation: a GET is answered 304. */
export function isUnchanged(headers: Headers, etag: string): boolean {
  return names(headers.get("if-none-match"), etag, true);
}

/**
 * @param text of the record as it is, undefined when there is none
 * @throws Problem 412 when `If-Match` or `If-None-Match` does not hold
 */
export function checkPreconditions(headers: Headers, text: string | undefined): void {
  const etag = text === undefined ? undefined : etagOf(text);
  const answer = etag === undefined ? {} : { headers: { etag } };
  const wanted = headers.get("if-match");
  if (wanted !== null && !names(wanted, etag, false)) {
    throw new Problem(412, "If-Match: the record is not the one named.", answer);
  }
  if (names(headers.get("if-none-match"), etag, true)) {
    throw new Problem(412, "If-None-Match: the record is there.", answer);
  }
}

/** If-Match compares strongly: a weak tag names nothing. */
function names(header: string | null, etag: string | undefined, weak: boolean): boolean {
  if (header === null || etag === undefined) return false;
  if (header.trim() === "*") return true;
  const tags = header.split(",").map((tag) => tag.trim());
  return tags.some((tag) => (weak ? tag.replace(/^W\//, "") : tag) === etag);
}
