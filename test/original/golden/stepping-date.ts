/** A Date that a script sees instead of the real one: the original has no clock to be given. */

const START_MS = Date.UTC(2026, 0, 15, 12, 0, 0);
const STEP_MS = 1_000;

/** While `run` runs, each look at the clock finds it one second later, from one start on. */
export async function withSteppingDate<R>(run: () => Promise<R>): Promise<R> {
  const RealDate = globalThis.Date;
  let nowMs = START_MS;
  const next = (): number => (nowMs += STEP_MS);
  class SteppingDate extends RealDate {
    constructor(...args: [] | [number | string | Date]) {
      super(args.length === 0 ? next() : args[0]);
    }

    static override now(): number {
      return next();
    }
  }
  Object.defineProperty(globalThis, "Date", { value: SteppingDate, configurable: true });
  try {
    return await run();
  } finally {
    Object.defineProperty(globalThis, "Date", { value: RealDate, configurable: true });
  }
}
