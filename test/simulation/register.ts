/** Records what the register checker is given: calls and reads with their times, versions as sent. */
import { checkRegister, type Finding, knewOfDrag } from "../register/checker.ts";
import { judgePlain, versionText } from "../histories/from-register.ts";
import { checkTransactions } from "../histories/checker.ts";
import type { Operation } from "../histories/history.ts";
import type { ClockPromise, History, ReadCall, SentWrite } from "../register/history.ts";
import type { Kernel } from "./kernel.ts";
import { type Intent, isUndo, type Ledger } from "./ledger.ts";
import type { Op, SegmentRecord } from "./sent-segments.ts";
import { EPOCH_MS } from "./sim-process.ts";
import type { Seen } from "./view-judge.ts";

/** The clocks of a smaller flush are no tenth of a ms ahead. */
const BULK_OPERATIONS_MIN = 100;

/** Who calls, through what. */
export interface Caller {
  /** As the ledger knows it. */
  readonly writer: string;
  readonly session: string;
  readonly medium: string;
  /** Its flushes may wait for others after they took their clocks: no estimate is of that moment. */
  readonly lingers: boolean;
}

export interface CallBegun extends Caller {
  /** Undefined: an undo. */
  readonly intents: readonly Intent[] | undefined;
  /** Of the writer's attempts, those from here on. */
  readonly from: number;
  readonly viewMs: number;
  /** Otherwise it may be decided in the view, before it was called. */
  readonly isFresh: boolean;
}

interface RecordedCall extends CallBegun {
  readonly invokedMs: number;
  endedMs: number;
  /** The writer's attempts when it ended. */
  to: number;
  outcome: SentWrite["outcome"];
}

interface RecordedRead extends Omit<ReadCall, "gave"> {
  readonly ops: readonly Op[];
}

export interface LookBegun {
  readonly session: string;
  readonly invokedMs: number;
  readonly viewMs: number;
}

export interface RegisterReport {
  readonly findings: readonly Finding[];
  readonly dragged: number;
  readonly outrun: number;
  /** Calls of which some order is known that explains them. */
  readonly explained: number;
  /** Transactions of which one is known. */
  readonly serialized: number;
}

/** A transaction that was acknowledged. */
interface RecordedTransaction {
  readonly session: string;
  readonly invokedMs: number;
  /** What it has read, as texts. */
  readonly reads: ReadonlyMap<string, string | undefined>;
  readonly ops: readonly Op[];
}

/** What was measured when a segment was sent first. */
interface Sending {
  readonly sentMs: number;
  readonly estimateErrorMs: number | undefined;
}

export class Register {
  readonly #kernel: Kernel;
  readonly #ledger: Ledger;
  readonly #calls: RecordedCall[] = [];
  readonly #reads: RecordedRead[] = [];
  readonly #archives: SentWrite[] = [];
  readonly #transactions: (RecordedTransaction & { readonly returnedMs: number })[] = [];
  readonly #founded = new Map<Op, SentWrite>();
  readonly #sendings = new Map<SegmentRecord, Sending>();
  readonly #media = new WeakMap<object, string>();
  #mediaCount = 0;
  #lastMs = 0;

  constructor(kernel: Kernel, ledger: Ledger) {
    this.#kernel = kernel;
    this.#ledger = ledger;
  }

  /** The moment: what comes later in the run is later in time, also within one event. */
  now(): number {
    this.#lastMs = Math.max(this.#kernel.nowMs, this.#lastMs + 1e-6);
    return this.#lastMs;
  }

  mediumOf(backend: object): string {
    let name = this.#media.get(backend);
    if (name === undefined) this.#media.set(backend, (name = `medium ${++this.#mediaCount}`));
    return name;
  }

  /** A call begins; to be ended by what is returned, unless its process dies. */
  begin(call: CallBegun): (outcome: SentWrite["outcome"]) => void {
    const recorded: RecordedCall = {
      ...call,
      invokedMs: call.isFresh ? this.now() : call.viewMs,
      endedMs: Infinity,
      to: Infinity,
      outcome: "unknown",
    };
    this.#calls.push(recorded);
    return (outcome) => {
      recorded.endedMs = this.now();
      recorded.to = this.#ledger.attemptCount(call.writer);
      recorded.outcome = outcome;
    };
  }

  /** @param estimateMs ms since 1970 by the sender's estimate; undefined: it has none */
  sent(segments: readonly SegmentRecord[], estimateMs: number | undefined): void {
    const sentMs = this.now();
    const estimateErrorMs =
      estimateMs === undefined ? undefined : estimateMs - EPOCH_MS - this.#kernel.nowMs;
    for (const segment of segments) {
      if (!this.#sendings.has(segment)) this.#sendings.set(segment, { sentMs, estimateErrorMs });
    }
  }

  /** What was there before everything else. */
  founded(ops: readonly Op[]): void {
    const before = { invokedMs: -1, endedMs: -1, viewMs: -Infinity };
    const caller = { session: "original", medium: "original" };
    for (const op of ops) {
      this.#founded.set(op, this.#writeOf(op, { ...caller, ...before, outcome: "acknowledged" }));
    }
  }

  /** A deletion just above the version of what an archive holds. Who asked for it may not know yet. */
  archivePublished(op: Op): void {
    const caller = { session: `archive of ${op.id}`, medium: "archive" };
    const times = { invokedMs: -Infinity, endedMs: Infinity, viewMs: -Infinity };
    const write = this.#writeOf(op, { ...caller, ...times, outcome: "unknown" });
    this.#archives.push(asArchive(write, this.now()));
  }

  archived(ops: readonly Op[], session: string, invokedMs: number): void {
    const caller = { session, medium: session, invokedMs, viewMs: -Infinity };
    for (const op of ops) {
      const write = this.#writeOf(op, { ...caller, endedMs: this.now(), outcome: "acknowledged" });
      this.#archives.push(asArchive(write, invokedMs));
    }
  }

  read(ids: readonly string[], seen: Seen, { session, invokedMs, viewMs }: LookBegun): void {
    const returnedMs = this.now();
    for (const id of ids) {
      const text = seen.get(id);
      const landed = text === undefined ? [] : this.#ledger.landedWith(text);
      const ops = landed.filter((op) => op.id === id);
      // What nobody wrote is another rule's (INVENTED).
      if (text !== undefined && ops.length === 0) continue;
      this.#reads.push({ id, session, invokedMs, returnedMs, viewMs, ops });
    }
  }

  transacted(transaction: RecordedTransaction): void {
    this.#transactions.push({ ...transaction, returnedMs: this.now() });
  }

  /**
   * Strict serializability: in one order, each transaction has read what is there then. All other
   * writes are in order with them record by record only.
   */
  #judgeTransactions(): ReturnType<typeof checkTransactions> {
    const inOne = new Set(this.#transactions.flatMap(({ ops }) => ops));
    const operations: Operation[] = [];
    for (const [op, write] of this.#written()) {
      if (!inOne.has(op) && write.outcome !== "nothing") operations.push(plainOf(write, op.text));
    }
    for (const write of this.#archives) operations.push(plainOf(write, undefined));
    for (const { session, invokedMs, returnedMs, reads, ops } of this.#transactions) {
      const found = [...reads].map(([id, value]) => ({ id, value }));
      const writes = ops.map((op) => ({ id: op.id, value: op.text, version: versionText(op) }));
      const action = { kind: "transaction", reads: found, writes } as const;
      operations.push({ process: session, calledMs: invokedMs, returnedMs, action });
    }
    return checkTransactions(operations, { plain: "by version", budget: 50_000 });
  }

  /** @returns what is wrong, and how many writes knew of a drag, or were outrun by a batch, and how many calls are explained */
  check(given: Omit<ClockPromise, "epochMs">): RegisterReport {
    const promise = { ...given, epochMs: EPOCH_MS };
    const history = this.history();
    const findings = checkRegister(history, promise);
    const dragged = history.writes.filter((write) => knewOfDrag(write, promise)).length;
    const outrun = outrunIn(history, promise, findings);
    const verdict = judgePlain(history, promise);
    if (verdict.answer === "violated") {
      const unexplained = { rule: "LINEARIZABLE", message: verdict.message };
      return { findings: [...findings, unexplained], dragged, outrun, explained: 0, serialized: 0 };
    }
    const orders = verdict.answer === "fine" ? verdict.orders : [];
    const report = { dragged, outrun, explained: orders.flat().length };
    const isAny = this.#transactions.length > 0;
    const judged = isAny ? this.#judgeTransactions() : undefined;
    if (judged?.answer === "violated") {
      const unexplained = { rule: "SERIALIZABLE", message: judged.message };
      return { ...report, findings: [...findings, unexplained], serialized: 0 };
    }
    const serialized = judged?.answer === "fine" ? this.#transactions.length : 0;
    return { ...report, findings, serialized };
  }

  #written(): Map<Op, SentWrite> {
    const byOp = new Map(this.#founded);
    for (const call of this.#calls) {
      for (const [op, outcome] of this.#sentBy(call)) {
        const write = this.#writeOf(op, { ...call, outcome });
        byOp.set(op, call.lingers ? { ...write, estimateErrorMs: undefined } : write);
      }
    }
    return byOp;
  }

  history(): History {
    const byOp = this.#written();
    const reads = this.#reads.flatMap(({ ops, ...read }) => {
      const gave = ops.map((op) => byOp.get(op)).filter((write) => write !== undefined);
      return ops.length > 0 && gave.length === 0 ? [] : [{ ...read, gave }];
    });
    return { writes: [...byOp.values(), ...this.#archives], reads };
  }

  /** Each operation that a call sent: the last attempt is the one whose outcome it was told. */
  #sentBy({ writer, intents, from, to, outcome }: RecordedCall): Map<Op, SentWrite["outcome"]> {
    const sent = new Map<Op, SentWrite["outcome"]>();
    const attempts = this.#ledger.attemptsBetween(writer, from, to);
    const ofCall = attempts.flatMap(({ ops }) => {
      if (intents === undefined) return [ops.filter(isUndo)].filter(({ length }) => length > 0);
      const found = intents.map(({ id, text }) =>
        ops.findLast((op) => op.id === id && op.text === text),
      );
      return found.every((op) => op !== undefined) ? [found] : [];
    });
    for (const [at, ops] of ofCall.entries()) {
      const isLast = at === ofCall.length - 1;
      for (const op of ops) sent.set(op, isLast || outcome === "nothing" ? outcome : "unknown");
    }
    return sent;
  }

  #writeOf(
    op: Op,
    call: Omit<SentWrite, "id" | "version" | "isDeletion" | "sentMs" | "operations">,
  ): SentWrite {
    const { id, clock, agent, w, rev, text, segment } = op;
    const { session, medium, invokedMs, endedMs, viewMs, outcome } = call;
    const sending = this.#sendings.get(segment);
    return {
      id,
      version: { clock, agent, w, rev },
      isDeletion: text === undefined,
      session,
      medium,
      invokedMs,
      endedMs,
      outcome,
      viewMs,
      sentMs: sending?.sentMs ?? invokedMs,
      estimateErrorMs: sending?.estimateErrorMs,
      operations: segment.ops.length,
      isRevocable: segment.isFrame,
      ...(segment.places.length === 0 ? {} : { isGuarded: true }),
    };
  }
}

function plainOf(write: SentWrite, value: string | undefined): Operation {
  const { id, version, session, invokedMs, endedMs, outcome } = write;
  const action = { kind: "plain", id, value, version: versionText(version) } as const;
  const returnedMs = outcome === "acknowledged" ? endedMs : undefined;
  return { process: session, calledMs: invokedMs, returnedMs, action };
}

/** Writes that are in order only because a flush runs ahead of time by its operations. */
function outrunIn(
  { writes, reads }: History,
  promise: ClockPromise,
  findings: readonly Finding[],
): number {
  const hasBulk = writes.some(({ operations }) => operations >= BULK_OPERATIONS_MIN);
  if (promise.hasLies || !hasBulk) return 0;
  const timeless = writes.map((write) => ({ ...write, operations: 0 }));
  return checkRegister({ writes: timeless, reads }, promise).length - findings.length;
}

/** Its version is the one of what it archives, where a tombstone wins: below the next revision of it. */
function asArchive(write: SentWrite, sentMs: number): SentWrite {
  const { version } = write;
  const above = { ...version, rev: (version.rev ?? 0) + 0.5 };
  return { ...write, version: above, isDeletion: true, isGuarded: true, sentMs };
}
