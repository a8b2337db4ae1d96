/** Reports a log that waits too long for a compaction, once per view. */
import { segmentLists } from "../view/live-segments.ts";
import type { View } from "../view/view.ts";

/** What waits to be compacted. */
export interface Backlog {
  /** Live segments: flushes that no snapshot holds yet. */
  readonly segments: number;
  /** As passed to `open`. */
  readonly location: string;
}

export interface BacklogOptions {
  readonly backlogSegments: number;
  readonly onBacklog: ((backlog: Backlog) => void | Promise<void>) | undefined;
  readonly onWarning: (message: string) => void;
}

export class BacklogAlarm {
  readonly #location: string;
  readonly #options: BacklogOptions;
  readonly #calls = new Set<Promise<void>>();
  #hasWarned = false;

  constructor(location: string, options: BacklogOptions) {
    this.#location = location;
    this.#options = options;
  }

  /** To be called once with every view that a store opens or refreshes to. Never throws. */
  look(view: Pick<View, "segments" | "unreadLists" | "loaded">): void {
    const { backlogSegments, onBacklog } = this.#options;
    const segments = countWaiting(view);
    if (segments <= backlogSegments) return;
    const backlog = { segments, location: this.#location };
    if (onBacklog === undefined) {
      this.#warn(backlog);
      return;
    }
    const call = this.#call(onBacklog, backlog);
    this.#calls.add(call);
    // What `onWarning` throws, `settle` rejects with.
    call.then(
      () => this.#calls.delete(call),
      () => undefined,
    );
  }

  /** Resolves when every call of `onBacklog` has settled. */
  async settle(): Promise<void> {
    await Promise.all(this.#calls);
  }

  async #call(
    onBacklog: (backlog: Backlog) => void | Promise<void>,
    backlog: Backlog,
  ): Promise<void> {
    try {
      await onBacklog(backlog);
    } catch (error) {
      this.#options.onWarning(`onBacklog failed: ${String(error)}`);
    }
  }

  #warn({ segments, location }: Backlog): void {
    if (this.#hasWarned) return;
    this.#hasWarned = true;
    this.#options.onWarning(
      `backlog: ${segments} segments of ${location} wait for a compaction, more than ` +
        `${this.#options.backlogSegments}: run compact() or the scheduled compactor more often, ` +
        "or set the option onBacklog",
    );
  }
}

/** A lower bound: if lists are unread, all that they name count as compacted. */
function countWaiting({
  segments,
  unreadLists,
  loaded: { manifest },
}: Pick<View, "segments" | "unreadLists" | "loaded">): number {
  if (unreadLists.length === 0) return segments.length;
  const listed = segmentLists(manifest).reduce((sum, { segments: { count } }) => sum + count, 0);
  return segments.length - listed;
}
