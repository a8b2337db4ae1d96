/** Runs a task on both engines, round after round, and makes rows of what it measured. */
import { measure } from "./child.ts";
import { medians, type Row } from "./figures.ts";
import type { LatencyProxy } from "./proxy.ts";
import { type EngineName, ENGINES, type Figures, type Place, type Task } from "./tasks.ts";

/** One row of the table, for each engine: a section of a task. */
export interface Label {
  readonly section: string;
  readonly scenario: string;
  /** Default 1. */
  readonly operations?: number;
}

export interface Step {
  readonly task: Task;
  readonly labels: readonly Label[];
}

export interface Runner {
  /** Not measured. */
  prepare(engine: EngineName, place: Place, task: Task): Promise<void>;
  /**
   * Each engine once a round, in alternating order. @param prepare makes the place that the
   * steps of a round work on
   */
  compare(
    steps: readonly Step[],
    prepare: (engine: EngineName, round: number) => Promise<Place>,
  ): Promise<Row[]>;
}

export function makeRunner(
  proxy: LatencyProxy,
  rounds: number,
  say: (text: string) => void,
): Runner {
  const [endpoint = "", ...otherEndpoints] = proxy.endpoints;
  const run = (engine: EngineName, place: Place, task: Task): ReturnType<typeof measure> =>
    measure({ engine, place, endpoint, otherEndpoints, task }, proxy);
  return {
    prepare: async (engine, place, task) => {
      const { reasons } = await run(engine, place, task);
      const failure = reasons.get("");
      if (failure !== undefined) throw new Error(`${engine}, ${task.name}: ${failure}`);
    },
    compare: async (steps, prepare) => {
      const results = steps.flatMap(({ labels }) => labels.map((label) => new Result(label)));
      for (let round = 0; round < rounds; round++) {
        for (const engine of round % 2 === 0 ? ENGINES : ENGINES.toReversed()) {
          const place = await prepare(engine, round);
          for (const { task, labels } of steps) {
            say(`${labels[0]?.scenario}: ${engine}, round ${round + 1} of ${rounds}`);
            const { sections, reasons } = await run(engine, place, task);
            for (const result of results) {
              if (!labels.includes(result.label)) continue;
              const { section } = result.label;
              const reason = reasons.get(section) ?? reasons.get("");
              result.add(engine, sections.get(section), reason);
            }
          }
        }
      }
      return results.flatMap((result) => ENGINES.map((engine) => result.row(engine)));
    },
  };
}

/** What the rounds of one label gave. */
class Result {
  readonly label: Label;
  readonly #figures = new Map<EngineName, Figures[]>();
  readonly #reasons = new Map<EngineName, string>();

  constructor(label: Label) {
    this.label = label;
  }

  add(engine: EngineName, figures: Figures | undefined, reason: string | undefined): void {
    if (figures !== undefined) {
      this.#figures.set(engine, [...(this.#figures.get(engine) ?? []), figures]);
    }
    if (reason !== undefined) this.#reasons.set(engine, reason);
  }

  row(engine: EngineName): Row {
    const { scenario, operations = 1 } = this.label;
    const all = this.#figures.get(engine) ?? [];
    const reason = this.#reasons.get(engine);
    return {
      scenario,
      engine,
      operations,
      rounds: all.length,
      ...(all.length > 0 && { figures: medians(all) }),
      ...(reason !== undefined && { reason }),
    };
  }
}
