/**
 * Says what the engine may never do. It knows what was sent, what landed and what was acknowledged
 * (ledger), and what the objects hold (truth); it never asks the engine.
 */
import { LOG_PREFIX, MANIFEST_PATH } from "../../src/format/paths.ts";
import { ArchiveJudge } from "./archive-judge.ts";
import { createCounts } from "./counts.ts";
import { OnceJudge } from "./once-judge.ts";
import { Register } from "./register.ts";
import type { Founding } from "./founding.ts";
import type { Kernel } from "./kernel.ts";
import { compareOps, describeOp, type Intent, isSameWriter, Ledger, raise } from "./ledger.ts";
import type { Mark } from "./mark.ts";
import type { Op } from "./sent-segments.ts";
import {
  holdsNoStore,
  type ObjectServer,
  type ServerObserver,
  type StoredObject,
} from "./object-server.ts";
import { Truth } from "./truth.ts";
import { type Seen, ViewJudge } from "./view-judge.ts";

export interface Violation {
  /** The invariant of PROTOCOL that is broken. */
  readonly rule: string;
  readonly message: string;
  readonly atMs: number;
}

export class Oracle implements ServerObserver {
  readonly violations: Violation[] = [];
  readonly ledger = new Ledger();
  readonly truth: Truth;
  readonly register: Register;
  readonly once: OnceJudge;
  readonly #kernel: Kernel;
  readonly #server: ObjectServer;
  readonly #acked = new Map<string, Op>();
  readonly #views: ViewJudge;
  /** Judges what followers were told, as if a reader saw it. */
  readonly followers: ViewJudge;
  readonly #archives: ArchiveJudge;
  #ackedClock = 0;
  #lastPurge = 0;
  readonly counts = createCounts();

  constructor(kernel: Kernel, server: ObjectServer) {
    this.#kernel = kernel;
    this.#server = server;
    this.truth = new Truth(server, (rule, message) => this.fail(rule, message));
    const parts = {
      ledger: this.ledger,
      truth: this.truth,
      fail: (rule: string, message: string) => this.fail(rule, message),
    };
    this.register = new Register(kernel, this.ledger);
    this.#views = new ViewJudge(parts);
    this.followers = new ViewJudge({
      ...parts,
      fail: (rule, told) => this.fail("FOLLOWER", `${rule}: ${told}`),
    });
    const onArchived = (op: Op): void => this.register.archivePublished(op);
    this.#archives = new ArchiveJudge({ ...parts, onArchived });
    const now = (): number => kernel.nowMs;
    this.once = new OnceJudge({ ...parts, server, now, counts: this.counts });
    server.observe(this);
  }

  fail(rule: string, message: string): void {
    this.violations.push({ rule, message, atMs: this.#kernel.nowMs });
    this.#kernel.trace(`VIOLATION ${rule}: ${message}`);
  }

  /** The store begins as one of the original. */
  found({ objects, ops }: Founding): void {
    this.counts.founded++;
    const founded = this.ledger.founded(ops);
    for (const op of founded) raise(this.#acked, op);
    this.register.founded(founded);
    this.truth.found([...objects.keys()], founded);
  }

  onPut(path: string, { body }: StoredObject): void {
    if (path.startsWith(LOG_PREFIX)) this.#checkLanded(path, body);
    this.once.onPut(path, body);
    if (path !== MANIFEST_PATH) return;
    const { generation, lastPurge } = this.truth.manifest();
    this.counts.published++;
    if (this.truth.manifest().catalogues.length > 0) this.counts.catalogued++;
    if (generation === 1 && this.counts.founded > 0) this.counts.upgraded++;
    if (lastPurge > this.#lastPurge) this.counts.purges++;
    this.#lastPurge = lastPurge;
    this.#archives.published();
    this.#checkStore(`generation ${generation} was published`);
  }

  /** A frame is whole in a log file. */
  onFrame(path: string, frame: Uint8Array): void {
    this.#checkLanded(path, frame);
    this.counts.frames++;
  }

  /** What was seen and not acknowledged may be gone. */
  powerCut(): void {
    this.counts.powerCuts++;
    this.#views.seen.clear();
    this.once.powerCut();
    this.#checkStore("after a power cut");
  }

  #checkLanded(path: string, body: Uint8Array): void {
    const manifest = this.truth.manifest();
    for (const complaint of this.ledger.landed(path, body, this.#kernel.nowMs, manifest)) {
      const [rule = "", message = ""] = complaint.split(/: (.*)/s);
      this.fail(rule, message);
    }
    this.#countGhost(path, body);
  }

  #countGhost(path: string, body: Uint8Array): void {
    const { purgeFloor } = this.truth.manifest();
    const segments = this.ledger.find(path, body);
    if (segments.length > 1) this.counts.sharedFlushes++;
    const [first] = segments;
    if (first === undefined || first.objectLo > purgeFloor) return;
    this.counts.ghosts++;
    const winners = this.truth.winners();
    const ops = segments.flatMap((segment) => segment.ops);
    if (ops.some(({ id, text }) => text && !winners.has(id))) this.counts.ghostsOfDeleted++;
  }

  onDelete(path: string, { body }: StoredObject): void {
    this.#checkPublished(path, body);
    if (/^(ops|snapshots|archive)\//.test(path)) this.#checkStore(`${path} was deleted`);
  }

  /** DELETE-AFTER-PUBLISH: what a deleted segment holds is in the runs, or superseded there. */
  #checkPublished(path: string, body: Uint8Array): void {
    const { purgeFloor } = this.truth.manifest();
    const segments = this.ledger.find(path, body).filter((segment) => {
      // A frame that was appended behind the seal was never acknowledged there (FENCE).
      if (segment.isVoid || segment.isFrame || this.ledger.isCloned(segment)) return false;
      return segment.objectLo > purgeFloor;
    });
    for (const op of segments.flatMap(({ ops }) => ops)) {
      const winner = this.truth.published().get(op.id);
      if (winner !== undefined && compareOps(winner, op) >= 0) continue;
      // What a claim wrote may have been deleted and purged since.
      const { places } = op.segment;
      if (places.length > 0 && winner === undefined && this.ledger.mayBeAbsent(op.id, op)) continue;
      this.fail("DELETE-AFTER-PUBLISH", `${path} was deleted, its ${describeOp(op)} is in no run`);
    }
  }

  /** ACKED, and that nothing referenced is missing, of the objects themselves at every change. */
  #checkStore(when: string): void {
    const missing = this.truth.missing();
    if (missing.length > 0) {
      return this.fail("ORPHAN", `${when}: the manifest names ${missing[0]}, which is not there`);
    }
    this.once.checkStore(when);
    const winners = this.truth.winners();
    this.#archives.checkWinners(when, winners);
    for (const [id, least] of this.#acked) {
      const winner = winners.get(id);
      const isKept =
        winner === undefined ? this.ledger.mayBeAbsent(id, least) : compareOps(winner, least) >= 0;
      if (isKept) continue;
      const found = winner === undefined ? "nothing" : `${winner.text} at ${winner.clock}`;
      this.fail("ACKED", `${when}: expected ${describeOp(least)}, the objects hold ${found}`);
    }
  }

  /** To be taken when a look begins. */
  mark(): Mark {
    const least = new Map(this.#acked);
    const { purgeFloor } = this.truth.manifest();
    for (const [id, op] of this.#views.seen) {
      const acked = least.get(id);
      // What was never acknowledged may vanish below the floor: it came too late (LATE, FLOOR).
      if (op.segment.objectLo <= purgeFloor) continue;
      // Appended behind a seal it goes with its file, unless its writer appends it again (FENCE).
      if (op.segment.isFrame && !op.segment.isAcked) continue;
      if (acked === undefined || compareOps(op, acked) > 0) least.set(id, op);
    }
    for (const [id, ops] of this.ledger.allArchived()) {
      for (const op of ops) {
        const known = least.get(id);
        if (known === undefined || compareOps(op, known) > 0) least.set(id, op);
      }
    }
    const { objects, changes } = this.#server;
    const takenMs = this.register.now();
    return { changes, isEmpty: holdsNoStore(objects), least, clock: this.#ackedClock, takenMs };
  }

  /** What whoever reads the manifest from now on must see at least: what its runs hold. */
  snapshotMark(): Mark {
    const least = new Map<string, Op>();
    for (const [id, winner] of this.truth.published()) {
      const op = this.ledger.landedOf(id).find((landed) => compareOps(landed, winner) === 0);
      if (op !== undefined) least.set(id, op);
    }
    // Never to be compared exactly: the log is not part of it.
    return { ...this.mark(), changes: -1, least, takenMs: -Infinity };
  }

  /** A write of this process was acknowledged; gives its operations with their versions. */
  acked(process: string, from: number, intents: readonly Intent[], mark: Mark): readonly Op[] {
    const segment = this.ledger.findAttempt(process, from, intents);
    if (segment?.landedMs === undefined) {
      const what = intents.map(({ id, text }) => `${id}=${text ?? "deleted"}`).join(", ");
      this.fail("ACKED", `${process} was acknowledged ${what}, which never landed`);
      return [];
    }
    this.counts.acked++;
    if (segment.places.length > 0) this.counts.guarded++;
    if (segment.places.length > 1) this.counts.transactions++;
    if (segment.isVoid) {
      this.fail("ACK", `${process} was acknowledged ${segment.path}, on a number that had passed`);
    }
    if (segment.objectLo <= segment.landedFloor) {
      const floor = `the purge floor ${segment.landedFloor} under which it landed`;
      this.fail("LATE", `${process} was acknowledged ${segment.path}, ignored because of ${floor}`);
    }
    segment.isAcked = true;
    if (segment.lo <= mark.clock) {
      const message = `${segment.path} of ${process} orders below ${mark.clock}, acknowledged before`;
      this.fail("RECENT", message);
    }
    for (const op of segment.ops) {
      const before = this.#acked.get(op.id);
      if (before === undefined || compareOps(op, before) > 0) this.#acked.set(op.id, op);
      // A plain write of the same clock is above what was created on nothing (STAND).
      const isOnNothing = segment.places.length > 0 && op.w === "";
      this.#ackedClock = Math.max(this.#ackedClock, isOnNothing ? op.clock - 1 : op.clock);
    }
    this.#kernel.trace(`${process} acked ${segment.path}`);
    return segment.ops;
  }

  /**
   * An undo was acknowledged: it must be of the store's own last operation, and nothing that
   * anybody had by then may stand above that.
   * @param mark taken before the call
   * @returns what it wrote
   */
  undone(process: string, from: number, own: Op, mark: Mark): readonly Op[] {
    const undo = this.ledger.undoSince(process, from);
    if (undo === undefined) {
      this.fail("UNDO", `${process} was told of an undo, but sent none`);
      return [];
    }
    this.counts.undone++;
    const ops = this.acked(process, from, [{ id: undo.id, text: undo.text }], mark);
    const { clock, writerNonce: w, revision: rev = 0 } = undo.undoes ?? {};
    if (clock !== own.clock || w !== own.w || rev !== own.rev) {
      this.fail(
        "UNDO",
        `${process} undid the operation at ${clock}, its last is ${describeOp(own)}`,
      );
    }
    const least = mark.least.get(own.id);
    // Its own undo of a later operation stands for this one.
    const isOwn = least?.undoes !== undefined && isSameWriter(least, own);
    if (least !== undefined && compareOps(least, own) > 0 && !isOwn) {
      this.fail("UNDO", `${process} undid ${describeOp(own)} below ${describeOp(least)}`);
    }
    return ops;
  }

  /** A write was reported as not done at all: none of it may ever land. */
  rejected(process: string, from: number, intents: readonly Intent[]): void {
    for (const segment of this.ledger.attemptsOf(process, from, intents)) {
      segment.isRejected = true;
      if (segment.landedMs !== undefined) {
        this.fail(
          "REJECTED",
          `${segment.path} had landed when ${process} heard it was not written`,
        );
      }
    }
  }

  /**
   * A call of `archive` has ended: with so many records archived, or (undefined) with an error.
   * @returns what stands in the place of those records
   */
  archived(process: string, period: string, count: number | undefined): readonly Op[] {
    if (count !== undefined && count > 0) {
      this.counts.archives++;
      this.counts.archived += count;
      this.#kernel.trace(`${process} archived ${count} as "${period}"`);
    }
    return this.#archives.ended(period, count);
  }

  /**
   * Checks what a reader sees of `ids`.
   * @param least what it must see at least: its mark, and what it wrote itself
   */
  checkView(reader: string, ids: readonly string[], seen: Seen, least: Mark["least"]): void {
    this.counts.views++;
    this.#views.check(reader, ids, seen, least);
  }

  /** When nothing changed since the look began, a view is exactly what the objects hold. */
  checkExact(
    reader: string,
    mark: Mark,
    ids: readonly string[],
    seen: Seen,
    judge = this.#views,
  ): void {
    if (mark.changes !== this.#server.changes) return;
    this.counts.exact++;
    judge.checkExact(reader, ids, seen);
  }
}
