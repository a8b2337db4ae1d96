/** Which operations a stream leaves out because they were undone, and which undos. Pure. */
import { isDeepStrictEqual } from "node:util";
import type { LiveOperation } from "../read/log-replay.ts";

/**
 * Undone operations and their undos are left out, as in history; but an undo only where what was
 * given so far leaves the record as the undo does. It does not when the snapshot holds the undone
 * operation, or when another agent wrote below it what its writer had not seen.
 */
export class UndoneRecords {
  /** Of ids with an undo still to come: the record as given so far, undefined when deleted. */
  readonly #given = new Map<string, unknown>();
  #undos: Map<string, number> = new Map();

  /** @param undos by id: how many undos the log holds */
  expect(undos: ReadonlyMap<string, number>): void {
    this.#undos = new Map(undos);
  }

  /** Whether an undo of this record is still to come. */
  expects(id: string): boolean {
    return this.#undos.has(id);
  }

  /** Whether the record before this operation must be passed to `begin`. */
  needsBefore(id: string): boolean {
    return this.expects(id) && !this.#given.has(id);
  }

  /** The record as it was given, before the operations that are passed to `shows`. */
  begin(id: string, value: unknown): void {
    if (this.expects(id)) this.#given.set(id, value);
  }

  /** To be called in version order. @param isUndone whether a later operation undoes this one */
  shows({ operation }: LiveOperation, isUndone: boolean): boolean {
    const { id, data, undoes } = operation;
    if (!this.expects(id)) return true;
    if (undoes === undefined) {
      if (!isUndone) this.#given.set(id, data);
      return !isUndone;
    }
    const isSame = this.#given.has(id) && isDeepStrictEqual(this.#given.get(id), data);
    this.#given.set(id, data);
    this.#passUndo(id);
    return !isSame;
  }

  #passUndo(id: string): void {
    const left = (this.#undos.get(id) ?? 0) - 1;
    if (left > 0) {
      this.#undos.set(id, left);
    } else {
      this.#undos.delete(id);
      this.#given.delete(id);
    }
  }
}
