/** An object store that dates its answers, as processes with clocks of their own see it. */
import { MediumClock } from "../../src/core/medium-clock.ts";
import type { Runtime } from "../../src/core/runtime.ts";
import type {
  Dated,
  GetOptions,
  GetResult,
  ListPage,
  Precondition,
  PutResult,
} from "../../src/storage/backend.ts";
import { MemoryBackend } from "../../src/storage/memory-backend.ts";
import { manualRuntime } from "../support/manual-runtime.ts";

export const START_MS = 1_800_000_000_000;

/** One object store for several processes, dated by the true time in whole seconds. */
export class Objects {
  trueMs = START_MS;
  readonly memory: MemoryBackend;

  static async open(): Promise<Objects> {
    const objects = new Objects();
    await objects.memory.initialize("times", { readOnly: false });
    return objects;
  }

  constructor() {
    const nowMs = (): number => Math.floor(this.trueMs / 1_000) * 1_000;
    this.memory = new MemoryBackend({ runtime: { ...manualRuntime(), nowMs } });
  }
}

/** Clocks of one process: both may be wrong, and stand still. */
export class Clocks {
  readonly #objects: Objects;
  wallErrorMs = 0;
  steadyLagMs = 0;

  constructor(objects: Objects) {
    this.#objects = objects;
  }

  /** Time passes, and these clocks of the process stand still. */
  freeze(ms: number, ...stopped: readonly ("wall" | "steady")[]): void {
    this.#objects.trueMs += ms;
    if (stopped.includes("wall")) this.wallErrorMs -= ms;
    if (stopped.includes("steady")) this.steadyLagMs += ms;
  }

  runtime(): Runtime {
    const nowMs = (): number => this.#objects.trueMs + this.wallErrorMs;
    const steadyMs = (): number => this.#objects.trueMs - START_MS - this.steadyLagMs;
    return { ...manualRuntime(), nowMs, wallMs: nowMs, steadyMs };
  }
}

/** As one process sees it: every answer is dated, and takes a millisecond. */
export class DatedBackend extends MemoryBackend {
  readonly clock: MediumClock;
  readonly #objects: Objects;
  lists = 0;
  /** What happens while a write is under way. */
  onPut = (): void => undefined;

  constructor(objects: Objects, runtime: Runtime) {
    super({ runtime });
    this.#objects = objects;
    this.clock = new MediumClock(runtime);
  }

  override get(path: string, options?: GetOptions): Promise<GetResult> {
    return this.#ask(() => this.#objects.memory.get(path, options));
  }

  override put(path: string, body: Uint8Array, precondition: Precondition): Promise<PutResult> {
    return this.#ask(() => {
      if (path.startsWith("ops/")) this.onPut();
      return this.#objects.memory.put(path, body, precondition);
    });
  }

  override async *list(prefix: string): AsyncGenerator<ListPage> {
    if (prefix === "ops/") this.lists++;
    for await (const page of this.#objects.memory.list(prefix)) {
      yield await this.#ask(async () => page);
    }
  }

  override delete(paths: readonly string[]): Promise<void> {
    return this.#objects.memory.delete(paths);
  }

  async #ask<R extends Dated>(act: () => Promise<R>): Promise<R> {
    const sent = this.clock.now();
    this.#objects.trueMs += 1;
    const result = await act();
    this.clock.observe(result.dateMs, sent, this.clock.now());
    return result;
  }
}
