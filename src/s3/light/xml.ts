/** The few elements of S3's XML answers that are read here, and the two bodies that are sent. */
import { RequestError } from "../requests/errors.ts";
import type { FailedDelete, ListedPage, UploadedPart } from "../requests/transport.ts";

/** @throws an error that leaves the outcome open, for an answer that is not whole */
export function parseList(xml: string): ListedPage {
  const list = rootOf(xml, "ListBucketResult");
  return {
    objects: elements(list, "Contents").map((object) => ({
      key: textOf(object, "Key") ?? "",
      bytes: Number(textOf(object, "Size") ?? 0),
      lastModifiedMs: parseTime(textOf(object, "LastModified")),
    })),
    prefixes: elements(list, "CommonPrefixes").map((each) => textOf(each, "Prefix") ?? ""),
    encoded: textOf(list, "EncodingType") === "url",
    truncated: textOf(list, "IsTruncated") === "true",
    continuationToken: textOf(list, "NextContinuationToken"),
  };
}

export function parseDeleteResult(xml: string): FailedDelete[] {
  return elements(rootOf(xml, "DeleteResult"), "Error").map((error) => ({
    key: textOf(error, "Key") ?? "",
    code: textOf(error, "Code") ?? "Error",
    message: textOf(error, "Message") ?? "",
  }));
}

export function parseUploadId(xml: string): string {
  const id = textOf(rootOf(xml, "InitiateMultipartUploadResult"), "UploadId");
  if (id === undefined) throw incomplete("UploadId");
  return id;
}

export function parseCompleted(xml: string): { readonly etag: string } {
  return { etag: textOf(rootOf(xml, "CompleteMultipartUploadResult"), "ETag") ?? "" };
}

const ERROR_ROOT = /^\s*(?:<\?xml[^>]*>\s*)?<Error[\s>]/;

/** Code and message of an error answer; undefined when it is none. */
export function parseError(
  xml: string,
): { readonly code: string; readonly message: string } | undefined {
  const [error] = ERROR_ROOT.test(xml) ? elements(xml, "Error") : [];
  const code = error === undefined ? undefined : textOf(error, "Code");
  if (error === undefined || code === undefined) return undefined;
  return { code, message: textOf(error, "Message") ?? "" };
}

export function deleteBody(keys: readonly string[]): string {
  const objects = keys.map((key) => `<Object><Key>${escapeXml(key)}</Key></Object>`);
  return document("Delete", `<Quiet>true</Quiet>${objects.join("")}`);
}

export function completeBody(parts: readonly UploadedPart[]): string {
  const listed = parts.map(({ partNumber, etag = "" }) => {
    return `<Part><PartNumber>${partNumber}</PartNumber><ETag>${escapeXml(etag)}</ETag></Part>`;
  });
  return document("CompleteMultipartUpload", listed.join(""));
}

function document(root: string, content: string): string {
  const namespace = "http://s3.amazonaws.com/doc/2006-03-01/";
  return `<?xml version="1.0" encoding="UTF-8"?><${root} xmlns="${namespace}">${content}</${root}>`;
}

/** An answer cut short must not pass for a shorter one. */
function rootOf(xml: string, name: string): string {
  const [root] = elements(xml, name);
  if (root === undefined && !xml.includes(`<${name}/>`)) throw incomplete(name);
  return root ?? "";
}

function incomplete(element: string): RequestError {
  const message = `the answer holds no whole ${element} element`;
  return new RequestError({ name: "IncompleteAnswer", message });
}

/** Contents of elements of this name; S3's never nest in themselves. One pass over the text. */
function elements(xml: string, name: string): string[] {
  const found: string[] = [];
  for (let next = nextElement(xml, name, 0); next !== undefined;) {
    found.push(next.content);
    next = nextElement(xml, name, next.end);
  }
  return found;
}

/** The first one at or behind a position, and where it ends; undefined if none is whole. */
function nextElement(
  xml: string,
  name: string,
  position: number,
): { readonly content: string; readonly end: number } | undefined {
  const [start, end] = [`<${name}`, `</${name}>`];
  for (let at = xml.indexOf(start, position); at >= 0; at = xml.indexOf(start, at)) {
    at += start.length;
    // Another element, whose name begins with this one.
    if (xml[at] !== ">" && xml[at] !== " ") continue;
    const from = xml.indexOf(">", at) + 1;
    const to = xml.indexOf(end, from);
    if (from === 0 || to < 0) return undefined;
    return { content: xml.slice(from, to), end: to + end.length };
  }
  return undefined;
}

function textOf(xml: string, name: string): string | undefined {
  const found = nextElement(xml, name, 0);
  return found && unescapeXml(found.content);
}

function parseTime(text: string | undefined): number | undefined {
  const ms = Date.parse(text ?? "");
  return Number.isNaN(ms) ? undefined : ms;
}

const ENTITIES: Readonly<Record<string, string>> = {
  amp: "&",
  lt: "<",
  gt: ">",
  quot: '"',
  apos: "'",
};

function unescapeXml(text: string): string {
  if (!text.includes("&")) return text;
  return text.replace(/&(#\d{1,7}|#x[\da-fA-F]{1,6}|\w{1,4});/g, (entity, name: string) => {
    if (!name.startsWith("#")) return ENTITIES[name] ?? entity;
    const isHex = name.startsWith("#x");
    const code = Number.parseInt(name.slice(isHex ? 2 : 1), isHex ? 16 : 10);
    return code <= 0x10ffff ? String.fromCodePoint(code) : entity;
  });
}

/** Line ends would be normalised on the way. */
function escapeXml(text: string): string {
  return text.replace(
    /[&<>"'\u0000-\u001f\u0085\u2028]/g,
    (character) => `&#x${character.charCodeAt(0).toString(16).toUpperCase()};`,
  );
}
