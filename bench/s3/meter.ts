/** The child's side of a measurement: it says when a section begins and ends, and waits for a nod. */
import type { Figures, FromChild } from "./tasks.ts";

export interface Meter {
  /** Measures what `act` does. */
  section<R>(section: string, act: () => Promise<R>): Promise<R>;
  also(section: string, figures: Figures): Promise<void>;
  notAvailable(section: string, reason: string): Promise<void>;
}

export const meter: Meter = {
  section: async (section, act) => {
    await tell({ kind: "begin" });
    const beganAt = performance.now();
    const result = await act();
    const wallMs = performance.now() - beganAt;
    const peakRssBytes = process.resourceUsage().maxRSS * 1024;
    await tell({ kind: "end", section, wallMs, peakRssBytes });
    return result;
  },
  also: (section, figures) => tell({ kind: "also", section, figures }),
  notAvailable: (section, reason) => tell({ kind: "not-available", section, reason }),
};

/** Resolves when the parent has heard it. */
export async function tell(message: FromChild): Promise<void> {
  if (process.send === undefined) throw new Error("there is no parent to talk to");
  const heard = new Promise((resolve) => process.once("message", resolve));
  process.send(message);
  await heard;
}
