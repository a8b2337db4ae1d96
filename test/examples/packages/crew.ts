/** The child processes of one run: started alike, measured alike, none left behind. */
import type { CompactionReport } from "opslog-serverless";
import { Child } from "./child-process.ts";
import { figure, megabytes, type Row } from "./figures.ts";
import type { Answer, Role } from "./messages.ts";

export class Crew implements AsyncDisposable {
  readonly #location: string;
  readonly #children: Child[] = [];
  readonly #peaks: [label: string, bytes: number][] = [];

  constructor(location: string) {
    this.#location = location;
  }

  start(role: Role, label: string, onPass?: (report: CompactionReport) => void): Child {
    const isFirst = this.#children.length === 0;
    const child = new Child({ label, role, location: this.#location, isFirst }, onPass);
    this.#children.push(child);
    return child;
  }

  /** The child's last words; it ends by itself. */
  async finish(child: Child): Promise<Answer> {
    const answer = await child.finish();
    this.#peaks.push([child.label, figure(answer, "peakRssBytes")]);
    return answer;
  }

  /** Peak resident memory of every process, the calling one included. */
  memoryRows(): Row[] {
    const own = process.resourceUsage().maxRSS * 1024;
    const all = [["parent", own] as const, ...this.#peaks];
    return all.map(([label, bytes]) => [`peak RSS, ${label}`, megabytes(bytes)]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#children.map((child) => child.kill()));
  }
}
