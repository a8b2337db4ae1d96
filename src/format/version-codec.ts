/** Versions as objects hold them: fields of a line, or members of an array. */
import { assert } from "../core/assert.ts";
import { CLOCK_MAX, revisionOf, type Version } from "../core/version.ts";
import { corrupt, Fields, type Place } from "./json-line.ts";

const W_PATTERN = /^[0-9a-f]{16}$/;
/** Of a guarded operation on nothing (STAND). */
const NO_W_PATTERN = /^$/;

/** Fields `clock`, `agent`, `w` and, where it is not 0, `rev`. @param clockLeast of a plain write */
export function decodeVersion(fields: Fields, clockLeast: 0 | 1): Version {
  const revision = fields.has("rev") ? fields.integer("rev", 1) : 0;
  // 0: it was in a legacy snapshot, below every operation.
  const clock = fields.integer("clock", revision > 0 ? 0 : clockLeast, CLOCK_MAX);
  const agent = fields.string("agent");
  const isOnNothing = revision > 0 && agent === "" && fields.get("w") === "";
  const writerNonce = fields.matching("w", isOnNothing ? NO_W_PATTERN : W_PATTERN, "16 hex digits");
  return { clock, agent, writerNonce, ...(revision === 0 ? {} : { revision }) };
}

/** The decoder's rules: what no decoder can read must not be written. */
export function assertStorable(version: Version): void {
  const { clock, agent, writerNonce } = version;
  const revision = revisionOf(version);
  assert(Number.isInteger(clock) && clock >= 0 && clock <= CLOCK_MAX, `clock ${clock}`);
  assert(Number.isSafeInteger(revision) && revision >= 0, `revision ${revision}`);
  const isOnNothing = revision > 0 && agent === "" && writerNonce === "";
  assert(
    isOnNothing || W_PATTERN.test(writerNonce),
    `w must be 16 hex digits, found ${writerNonce}`,
  );
}

/** As `undoes` names an operation. */
export function encodeVersionArray(version: Version): unknown[] {
  assertStorable(version);
  const { clock, agent, writerNonce } = version;
  const revision = revisionOf(version);
  return revision === 0 ? [clock, agent, writerNonce] : [clock, agent, writerNonce, revision];
}

/** @param clockLeast of a plain write @throws CorruptionError */
export function decodeVersionArray(
  members: readonly unknown[],
  place: Place,
  clockLeast: 0 | 1 = 1,
): Version {
  if (members.length > 4) throw corrupt(`a version of ${members.length} members`, place);
  const [clock, agent, w, rev] = members;
  const fields = members.length < 4 ? { clock, agent, w } : { clock, agent, w, rev };
  return decodeVersion(new Fields(fields, place), clockLeast);
}

/** As `base` names what a guarded operation was decided on: also what is absent (STAND). */
export function encodeBase(version: Version): unknown[] {
  const { clock, agent, writerNonce } = version;
  return [clock, agent, writerNonce, revisionOf(version)];
}

/** @throws CorruptionError */
export function decodeBase(members: readonly unknown[], place: Place): Version {
  const [clock, agent, w, rev] = members;
  if (members.length !== 4) throw corrupt(`a base of ${members.length} members`, place);
  if (rev === 0 && agent === "" && w === "") {
    return {
      clock: new Fields({ clock }, place).integer("clock", 1, CLOCK_MAX),
      agent,
      writerNonce: w,
    };
  }
  const fields = rev === 0 ? { clock, agent, w } : { clock, agent, w, rev };
  return decodeVersion(new Fields(fields, place), 0);
}
