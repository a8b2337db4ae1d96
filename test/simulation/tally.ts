/** What many simulations came to, added up over threads. */
import { type Schedule, simulate } from "./simulate.ts";

/** One seed with a violation. */
export interface Failure {
  readonly seed: number;
  /** Rule and message of the first violation. */
  readonly says: string;
  /** How the next event was chosen. */
  readonly schedule: string;
  readonly trace: readonly string[];
}

/** What goes from one thread to another. */
export interface TallyState {
  readonly seeds: number;
  readonly totals: ReadonlyMap<string, number>;
  readonly failures: readonly Failure[];
}

export class Tally {
  #seeds = 0;
  readonly #totals = new Map<string, number>();
  #failures: readonly Failure[] = [];

  get seeds(): number {
    return this.#seeds;
  }

  add({ seeds, totals, failures }: TallyState): void {
    this.#seeds += seeds;
    for (const [name, n] of totals) this.#totals.set(name, (this.#totals.get(name) ?? 0) + n);
    this.#failures = [...this.#failures, ...failures].toSorted((a, b) => a.seed - b.seed);
  }

  state(): TallyState {
    return { seeds: this.#seeds, totals: this.#totals, failures: this.#failures };
  }

  failedSeeds(): number[] {
    return this.#failures.map(({ seed }) => seed);
  }

  lowestFailure(): Failure | undefined {
    return this.#failures[0];
  }

  /** `events 123, acked 45, …` */
  summary(): string {
    return [...this.#totals].map(([name, n]) => `${name} ${n}`).join(", ");
  }
}

/** @param chosen default: as each seed says */
export async function runSeeds(seeds: readonly number[], chosen?: Schedule): Promise<Tally> {
  const tally = new Tally();
  for (const seed of seeds) {
    const { events, counts, violations, schedule, trace } = await simulate(seed, chosen);
    const [violation] = violations;
    const failures =
      violation === undefined
        ? []
        : [{ seed, says: `${violation.rule}: ${violation.message}`, schedule, trace }];
    const totals = new Map([["events", events], ...Object.entries(counts)]);
    tally.add({ seeds: 1, totals, failures });
  }
  return tally;
}
