/** What a killed writer's journal says must be in the store, and what may be. Pure. */

export interface JournaledOperation {
  readonly id: string;
  readonly op: "set" | "delete";
}

export interface JournaledCall {
  /** Which process made it: 1, 2, 3 … one after the other. */
  readonly incarnation: number;
  readonly n: number;
  /** More than one: a batch. An id occurs once in a call. */
  readonly operations: readonly JournaledOperation[];
  /** "unknown": under way when the process was killed, or reported as unknown. */
  readonly outcome: "acknowledged" | "refused" | "unknown";
}

/** Tags of the values a reader sees, by id. */
export type Shown = ReadonlyMap<string, string>;

export interface Landing {
  /** Whether a write can take effect after its process has been killed. */
  readonly mayLandLate: boolean;
}

const ABSENT = "absent";

/** Names the value that a call writes. */
export function tagOf(incarnation: number, n: number): string {
  return `${incarnation}.${n}`;
}

/**
 * Everything wrong with what a reader shows after the calls, which come in order. For each id the
 * last acknowledged operation counts, unless one without a known outcome may have come after it:
 * a later one, or on a server one of an earlier process, whose request may be carried out at any
 * time.
 */
export function findViolations(
  calls: readonly JournaledCall[],
  shown: Shown,
  { mayLandLate }: Landing,
): string[] {
  const effective = calls.filter(({ outcome }) => outcome !== "refused");
  const allowed = allowedStates(effective, mayLandLate);
  const violations: string[] = [];
  for (const [id, states] of allowed) {
    const found = shown.get(id) ?? ABSENT;
    if (states.some(({ state }) => state === found)) continue;
    const expected = states.map(({ state }) => state).join(" or ");
    violations.push(`${id}: found ${found}, expected ${expected}`);
  }
  for (const id of shown.keys()) if (!allowed.has(id)) violations.push(`${id}: nobody wrote it`);
  return [...violations, ...tornBatches(effective, allowed, shown)];
}

/** By id: the state that the last acknowledged call left, then those of calls that may count too. */
type AllowedStates = Map<string, AllowedState[]>;

interface AllowedState {
  readonly state: string;
  /** Undefined: before all calls. */
  readonly call: JournaledCall | undefined;
}

function allowedStates(calls: readonly JournaledCall[], mayLandLate: boolean): AllowedStates {
  const byId = new Map<string, JournaledCall[]>();
  for (const call of calls) {
    for (const { id } of call.operations) {
      const sameId = byId.get(id);
      if (sameId === undefined) byId.set(id, [call]);
      else sameId.push(call);
    }
  }
  const allowed: AllowedStates = new Map();
  for (const [id, ofId] of byId) {
    const lastAt = ofId.findLastIndex(({ outcome }) => outcome === "acknowledged");
    const last = ofId[lastAt];
    const isLate = ({ outcome, incarnation }: JournaledCall): boolean =>
      mayLandLate && outcome === "unknown" && incarnation < (last?.incarnation ?? 0);
    const possible = ofId.filter((call, at) => at > lastAt || isLate(call));
    const settled = { state: last === undefined ? ABSENT : stateAfter(last, id), call: last };
    const unsettled = possible.map((call) => ({ state: stateAfter(call, id), call }));
    allowed.set(id, [settled, ...unsettled]);
  }
  return allowed;
}

function stateAfter({ incarnation, n, operations }: JournaledCall, id: string): string {
  const op = operations.find((operation) => operation.id === id)?.op;
  return op === "set" ? tagOf(incarnation, n) : ABSENT;
}

/** Batches of unknown outcome of which one id shows that they landed, and another that they did not. */
function tornBatches(
  calls: readonly JournaledCall[],
  allowed: AllowedStates,
  shown: Shown,
): string[] {
  const torn: string[] = [];
  for (const call of calls) {
    if (call.outcome !== "unknown" || call.operations.length < 2) continue;
    const { incarnation, n } = call;
    const landed = new Set<boolean>();
    for (const { id } of call.operations) {
      const [settled, unsettled, ...more] = allowed.get(id) ?? [];
      // Only where nothing but this call or what was before it explains what is shown.
      if (unsettled?.call !== call || more.length > 0) continue;
      if (unsettled.state === settled?.state) continue;
      if (incarnation < (settled?.call?.incarnation ?? 0)) continue;
      landed.add((shown.get(id) ?? ABSENT) === unsettled.state);
    }
    if (landed.size > 1) torn.push(`batch ${tagOf(incarnation, n)} is there in part`);
  }
  return torn;
}
