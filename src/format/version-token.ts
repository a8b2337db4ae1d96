/**
 * Versions of records as callers hold them: opaque text with a hash of the record's id, so that the
 * token of another record is told from a version that has been replaced.
 *
 * No manifest has an identity that is there from the first write on. A plain write needs none: its `w`
 * is of no other store, so its token matches nothing there. The other versions, of what the original
 * wrote and of guarded operations on nothing, are bound to the moment at which the store was created,
 * which its manifest keeps for good.
 */
import { hash } from "node:crypto";
import { describeValue } from "../core/describe.ts";
import { CorruptionError, InvalidArgumentError } from "../core/errors.ts";
import { isErrorNamed } from "../core/realm.ts";
import type { Version } from "../core/version.ts";
import { decodeVersionArray, encodeVersionArray } from "./version-codec.ts";

/** Names the version of one record; it changes with every write of the record. Opaque. */
export type VersionToken = string;

/** What a token is of. */
export interface TokenScope {
  readonly id: string;
  /** `stats.created` of the manifest; undefined: it has none. */
  readonly created: string | undefined;
}

/** What is mixed up or damaged passes one time in 2^60. */
const MARK_CHARACTERS = 10;
/** Agents may be long. */
const TOKEN_CHARACTERS_MAX = 256 * 1024;

export function encodeVersionToken(version: Version, scope: TokenScope): VersionToken {
  return encode([markOf(version, scope), ...encodeVersionArray(version)]);
}

/** @throws InvalidArgumentError for what is no token, or that of another record */
export function decodeVersionToken(token: unknown, scope: TokenScope): Version {
  const { id } = scope;
  const read = parse(token);
  if (read === undefined) {
    const found = describeValue(token);
    throw new InvalidArgumentError(`not a version that versionOf returned: ${found}`, { id });
  }
  if (read.mark === markOf(read.version, scope)) return read.version;
  throw new InvalidArgumentError(`the version is none of record '${id}' of this store`, { id });
}

/** Undefined: nothing that is ever encoded. */
function parse(token: unknown): { readonly mark: unknown; readonly version: Version } | undefined {
  if (typeof token !== "string" || token.length > TOKEN_CHARACTERS_MAX) return undefined;
  try {
    const content: unknown = JSON.parse(Buffer.from(token, "base64url").toString("utf8"));
    if (!Array.isArray(content) || encode(content) !== token) return undefined;
    const [mark, ...members]: unknown[] = content;
    return { mark, version: decodeVersionArray(members, { path: "a token", offset: 0 }, 0) };
  } catch (error) {
    if (error instanceof CorruptionError || isErrorNamed(error, "SyntaxError")) return undefined;
    throw error;
  }
}

function encode(content: readonly unknown[]): string {
  return Buffer.from(JSON.stringify(content)).toString("base64url");
}

function markOf(version: Version, { id, created }: TokenScope): string {
  const isOfOneStore = version.clock > 0 && /[1-9a-f]/.test(version.writerNonce);
  const content = [id, ...encodeVersionArray(version), ...(isOfOneStore ? [] : [created])];
  return hash("sha256", JSON.stringify(content), "base64url").slice(0, MARK_CHARACTERS);
}
