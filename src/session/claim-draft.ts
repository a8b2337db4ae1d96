/** What conditional writes on records of one lane come to, decided on one state of them. Pure. */
import type { LogOperation } from "../core/operation.ts";
import { compareVersions, type Entry, nextRevision, type Version } from "../core/version.ts";
import type { GuardedOperation, GuardedWriter } from "../format/claim.ts";
import type { StagedOperation } from "./memtable.ts";
import { previous } from "./previous.ts";

/** A record as a conditional write finds it. */
export interface FoundRecord {
  /** Undefined: there is no record. */
  readonly value: unknown;
  /** Also of a deletion; clock 0 where nothing is known of the id. */
  readonly version: Version;
}

export interface ConditionalWrite {
  readonly id: string;
  /**
   * What to write over what was found; undefined: nothing. Called for each state that is found, until
   * one is written on. What it throws refuses the write.
   */
  readonly decide: (found: FoundRecord) => StagedOperation | undefined;
}

/** A write with its operation. */
export interface Drafted<Write> {
  readonly write: Write;
  readonly guarded: GuardedOperation;
  /** The record as it is stored, and as the store holds it; undefined: it is deleted. */
  readonly text: string | undefined;
  readonly value: unknown;
  readonly version: Version;
}

export interface ClaimDraft<Write> {
  /** In the order of the calls; of one record each on what the one before left. */
  readonly drafted: readonly Drafted<Write>[];
  /** What needs no claim: it writes nothing, or is refused. */
  readonly settled: readonly (
    | { readonly write: Write; readonly found: FoundRecord }
    | { readonly write: Write; readonly error: unknown }
  )[];
}

export interface DraftContext {
  /** The record's entry in the view. */
  readonly entryOf: (id: string) => Pick<Entry, "version"> & { readonly value: unknown };
  /** Of the view's manifest. */
  readonly purgeFloor: number;
  readonly writer: GuardedWriter;
  /** ISO 8601. */
  readonly ts: string;
}

/** A record, and what an operation on it has for its base. */
interface State extends FoundRecord {
  readonly base: Version;
}

/** @param writes whose records are all of one lane */
export function draftClaim<Write extends ConditionalWrite>(
  writes: readonly Write[],
  context: DraftContext,
): ClaimDraft<Write> {
  const drafted: Drafted<Write>[] = [];
  const settled: ClaimDraft<Write>["settled"][number][] = [];
  const states = new Map<string, State>();
  for (const write of writes) {
    const { id } = write;
    const state = states.get(id) ?? stateOf(context, id);
    const found = { value: state.value, version: state.version };
    let staged: StagedOperation | undefined;
    try {
      staged = write.decide(found);
    } catch (error) {
      settled.push({ write, error });
      continue;
    }
    if (staged === undefined) {
      settled.push({ write, found });
      continue;
    }
    const version = nextRevision(state.base);
    const { text, value } = staged;
    const operation = operationOn(state, staged, context.ts);
    drafted.push({ write, guarded: { writer: context.writer, operation }, text, value, version });
    states.set(id, { value, version, base: version });
  }
  return { drafted, settled };
}

/** VERSION and STAND: what was purged is below the base of a record that is absent. */
function stateOf({ entryOf, purgeFloor }: DraftContext, id: string): State {
  const { value, version } = entryOf(id);
  if (value !== undefined) return { value, version, base: version };
  const stand = { clock: purgeFloor + 1, agent: "", writerNonce: "" };
  const base = compareVersions(version, stand) > 0 ? version : stand;
  return { value, version, base };
}

function operationOn(
  { value: before, base }: State,
  { op, id, value, undoes }: StagedOperation,
  ts: string,
): GuardedOperation["operation"] {
  const data: Pick<LogOperation, "data"> = op === "set" ? { data: value } : {};
  const mark = undoes === undefined ? {} : { undoes };
  const { clock } = base;
  return { ts, op, id, clock, base, ...mark, ...previous({ value: before }, value), ...data };
}
