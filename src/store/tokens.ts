/** Versions of an open store's records, as its callers hold them. */
import type { Version } from "../core/version.ts";
import {
  decodeVersionToken,
  encodeVersionToken,
  type TokenScope,
  type VersionToken,
} from "../format/version-token.ts";
import type { Session } from "../session/session.ts";

export function tokenOf(session: Session, id: string, version: Version): VersionToken {
  return encodeVersionToken(version, scopeOf(session, id));
}

/** @throws InvalidArgumentError for what is no version of this record */
export function versionIn(session: Session, id: string, token: unknown): Version {
  return decodeVersionToken(token, scopeOf(session, id));
}

function scopeOf({ replica }: Session, id: string): TokenScope {
  const { loaded, legacy } = replica.view;
  const { created } = legacy?.manifest.stats ?? loaded.manifest.stats ?? {};
  return { id, created };
}
