/** A moment, as readers and writers are judged by it. */
import type { Op } from "./sent-segments.ts";

/** What whoever looks from now on must see at least. */
export interface Mark {
  /** Changes of the object store until then. */
  readonly changes: number;
  /** Nothing but leases was there. */
  readonly isEmpty: boolean;
  /** Per id, the highest operation acknowledged or seen by anybody. */
  readonly least: ReadonlyMap<string, Op>;
  /** Highest clock acknowledged. */
  readonly clock: number;
  /** When it was taken, by the register's time; -Infinity: of whatever a look before it saw. */
  readonly takenMs: number;
}
