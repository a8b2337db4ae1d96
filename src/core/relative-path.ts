/** Relative paths and keys, as every medium accepts them. */
import { InvalidArgumentError } from "./errors.ts";

/** S3 refuses longer keys; the store's prefix takes a part of this. */
const PATH_BYTES_MAX = 900;
/** Of ASCII, with parts that do not begin with a dot: nearly every path, as those of a listing. */
const ORDINARY = /^(?:[\w-][\w.-]*\/)*[\w-][\w.-]*$/;

/**
 * Checks a relative path: it can never name anything outside the store.
 * @throws InvalidArgumentError for empty, absolute, `.`/`..`, backslash, NUL or overlong paths
 */
export function checkPath(path: string): string {
  if (path.length <= PATH_BYTES_MAX && ORDINARY.test(path)) return path;
  if (path.split("/").includes("")) {
    throw new InvalidArgumentError(
      `path must be relative, without empty parts: ${JSON.stringify(path)}`,
      { path },
    );
  }
  const wrong = wrongInKey(path);
  if (wrong !== undefined) {
    throw new InvalidArgumentError(`path must not hold ${wrong}: ${JSON.stringify(path)}`, {
      path,
    });
  }
  const bytes = Buffer.byteLength(path);
  if (bytes > PATH_BYTES_MAX) {
    throw new InvalidArgumentError(
      `path has ${bytes} bytes, at most ${PATH_BYTES_MAX} are allowed`,
    );
  }
  return path;
}

/** What no key of a store may hold, in words; undefined when the key holds none of it. */
export function wrongInKey(key: string): string | undefined {
  if (key.split("/").some((part) => part === "." || part === "..")) return 'parts "." or ".."';
  // eslint-disable-next-line no-control-regex -- control characters are what is looked for
  if (/[\u0000-\u001f\u007f\\]/.test(key) || !key.isWellFormed()) {
    return "control characters, backslashes or lone surrogates";
  }
  return undefined;
}

/** Checks a directory prefix for listing and returns it with one trailing `/`; "" is the whole store. */
export function checkPrefix(prefix: string): string {
  const trimmed = prefix.replace(/\/$/, "");
  return trimmed === "" ? "" : `${checkPath(trimmed)}/`;
}

/** No regular expression: one that looks for the end of a text tries each of its slashes. */
export function withoutSlashesAtEnd(text: string): string {
  let end = text.length;
  while (text[end - 1] === "/") end--;
  return text.slice(0, end);
}
