/**
 * What of a run counts: all but the spans of ids that newer runs have taken over (`excised`, as
 * Pebble calls what is cut off a table that stays where it is). Pure.
 */
import { compareText } from "../core/version.ts";
import type { IdSpan, RunInfo } from "../format/run-info.ts";

type Excised = Pick<RunInfo, "excised">;
type Bounds = Excised & Pick<RunInfo, "minId" | "maxId">;

export function isExcised({ excised = [] }: Excised, id: string): boolean {
  return excised.some(({ from, to }) => from <= id && (to === undefined || id < to));
}

/** The same run without the span. */
export function excise<R extends Excised>(run: R, span: IdSpan): R {
  const excised: IdSpan[] = [];
  let { from, to } = span;
  for (const other of run.excised ?? []) {
    if (isBelow(other.to, from)) excised.push(other);
    else if (isBelow(to, other.from)) break;
    else {
      if (other.from < from) from = other.from;
      if (to === undefined || other.to === undefined) to = undefined;
      else if (other.to > to) to = other.to;
    }
  }
  const above = (run.excised ?? []).filter((other) => isBelow(to, other.from));
  return { ...run, excised: [...excised, { from, to }, ...above] };
}

/** Whether a span ends below another's beginning, with something in between. */
function isBelow(to: string | undefined, from: string): boolean {
  return to !== undefined && to < from;
}

/** A span with both ends. */
export interface VisibleSpan {
  readonly from: string;
  readonly to: string;
}

/** The spans that count, ascending, within the ids that the run holds; none: nothing counts. */
export function visibleSpans({ excised = [], minId, maxId }: Bounds): VisibleSpan[] {
  const spans: VisibleSpan[] = [];
  const end = behind(maxId);
  let from = minId;
  for (const span of excised) {
    if (from >= end) break;
    if (span.from > from) spans.push({ from, to: span.from < end ? span.from : end });
    if (span.to === undefined) return spans;
    if (span.to > from) from = span.to;
  }
  if (from < end) spans.push({ from, to: end });
  return spans;
}

/** The least text above an id. */
export function behind(id: string): string {
  return `${id}\0`;
}

/** A run, or what of it lies in one of its visible spans. */
export interface Piece<R, S = IdSpan> {
  readonly run: R;
  readonly span: S;
}

/** The visible spans of the runs of one level, in the order of their ids. */
export function piecesOf<R extends Bounds>(
  runs: readonly R[],
  spansOf: (run: R) => readonly VisibleSpan[] = visibleSpans,
): Piece<R, VisibleSpan>[] {
  return runs
    .flatMap((run) => spansOf(run).map((span) => ({ run, span })))
    .toSorted((a, b) => compareText(a.span.from, b.span.from));
}

/** Spans that count in `before` and no more in `after`, an excision of the same run. */
export function takenOver(before: Bounds, after: Excised): VisibleSpan[] {
  return visibleSpans(before).flatMap((span) => {
    return (after.excised ?? []).flatMap((taken) => intersection(span, taken) ?? []);
  });
}

/** What two spans share; undefined: nothing. */
export function intersection(a: IdSpan & VisibleSpan, b: IdSpan): VisibleSpan | undefined;
export function intersection(a: IdSpan, b: IdSpan): IdSpan | undefined;
export function intersection(a: IdSpan, b: IdSpan): IdSpan | undefined {
  const from = a.from > b.from ? a.from : b.from;
  const to = b.to === undefined || (a.to !== undefined && a.to < b.to) ? a.to : b.to;
  return to === undefined || from < to ? { from, to } : undefined;
}

/** Bytes that count: of a partition that counts in part, half of them. */
export function visibleBytes(run: RunInfo): number {
  if (run.excised === undefined) return run.bytes;
  const spans = visibleSpans(run);
  return run.partitions.reduce((sum, { separator, dataOffset }, at) => {
    const next = run.partitions[at + 1];
    const bytes = (next?.dataOffset ?? run.bytes) - dataOffset;
    const from = at === 0 ? run.minId : separator;
    const to = next?.separator ?? behind(run.maxId);
    const shared = spans.flatMap((span) => intersection(span, { from, to }) ?? []);
    const isWhole = shared.some((span) => span.from === from && span.to === to);
    if (shared.length === 0) return sum;
    return sum + (isWhole ? bytes : Math.ceil(bytes / 2));
  }, 0);
}
