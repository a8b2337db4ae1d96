/** What a request requires of the record it is about (RFC 9110, section 13.1). */
import { Problem } from "./http.ts";

/** "*", or the tags of a list as they stand there. */
export type EntityTags = "*" | readonly string[];

export interface Preconditions {
  readonly match: EntityTags | undefined;
  readonly noneMatch: EntityTags | undefined;
}

/** Undefined: the request has none. @throws Problem 400 */
export function preconditionsOf(headers: Headers): Preconditions | undefined {
  const match = headers.get("if-match");
  const noneMatch = headers.get("if-none-match");
  if (match === null && noneMatch === null) return undefined;
  return {
    match: match === null ? undefined : tagsIn(match, "If-Match"),
    noneMatch: noneMatch === null ? undefined : tagsIn(noneMatch, "If-None-Match"),
  };
}

/** A tag may hold commas. */
const ENTITY_TAG = /(?:W\/)?"[^"\s]*"/g;

/** @throws Problem 400: a tag that was not understood must not be one that does not match */
function tagsIn(header: string, name: string): EntityTags {
  if (header.trim() === "*") return "*";
  const tags = header.match(ENTITY_TAG) ?? [];
  const isList = /^[\s,]*$/.test(header.replace(ENTITY_TAG, ""));
  if (isList && tags.length > 0) return tags;
  throw new Problem(400, `${name}: expected * or entity tags in quotes, as ETag has them.`);
}

/** Whether `If-None-Match` names the representation: a GET is answered 304. */
export function isUnchanged(headers: Headers, etag: string): boolean {
  const header = headers.get("if-none-match");
  if (header === null) return false;
  const tags = header.trim() === "*" ? "*" : (header.match(ENTITY_TAG) ?? []);
  return names(tags, etag, "weak");
}

/** Compared strongly, a weak tag names nothing. */
export function names(tags: EntityTags, etag: string | undefined, how: "strong" | "weak"): boolean {
  if (etag === undefined) return false;
  if (tags === "*") return true;
  return tags.some((tag) => (how === "weak" ? tag.replace(/^W\//, "") : tag) === etag);
}
