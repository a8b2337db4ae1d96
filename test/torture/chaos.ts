/** What the network between the torture's processes and the server does, by seed. Pure. */
import type { Dice } from "../processes/random.ts";
import type { Fault, RecordedRequest } from "../support/recording-proxy.ts";

const DELAY_MS_MAX = 1_500;
const DUPLICATE_MS_MAX = 8_000;

export interface ChaosStep {
  readonly delayMs: number;
  readonly fault: Fault;
}

const CALM: ChaosStep = { delayMs: 0, fault: undefined };

function serverError(status: 500 | 503): { status: 500 | 503; body: string } {
  const code = status === 500 ? "InternalError" : "SlowDown";
  return { status, body: `<Error><Code>${code}</Code><Message>torture</Message></Error>` };
}

/** Of so many fates about ten are bad; fewer for reads: a compaction makes hundreds of them. */
const FATES = { changes: 45, reads: 150 };

/** Disturbs a fifth of the changes and a twentieth of the reads. */
export function chaosFor({ method }: Pick<RecordedRequest, "method">, dice: Dice): ChaosStep {
  const delayed = (fault: Fault): ChaosStep => ({ delayMs: dice.below(DELAY_MS_MAX), fault });
  const changes = method === "PUT" || method === "DELETE" || method === "POST";
  switch (dice.below(changes ? FATES.changes : FATES.reads)) {
    case 0:
      return { delayMs: 0, fault: "drop-before" };
    case 1:
      return { delayMs: 0, fault: "drop-after" };
    case 2:
      return delayed("drop-after");
    case 3:
      return { delayMs: 0, fault: serverError(503) };
    case 4:
      return { delayMs: 0, fault: serverError(500) };
    case 5:
      return { delayMs: 0, fault: { ...serverError(500), carriedOut: true } };
    case 6:
      return delayed(undefined);
    case 7:
      return { delayMs: 0, fault: "cut" };
    case 8:
      return dice.chance(0.1) ? { delayMs: 0, fault: "hang" } : CALM;
    case 9:
    case 10:
      if (!changes) return CALM;
      return { delayMs: 0, fault: { duplicateAfterMs: dice.below(DUPLICATE_MS_MAX) } };
    default:
      return CALM;
  }
}
