/** What the processes of the example tell each other, as JSON over the channel of `fork`. */
import type { CompactionReport } from "opslog-serverless";
import type { Entry } from "./record.ts";

/** What a child process is for. */
export type Role = "prepare" | "writer" | "compactor" | "eager" | "lazy";

export const ROLES: readonly Role[] = ["prepare", "writer", "compactor", "eager", "lazy"];

/** Numbers by name; names end in their unit. */
export type Figures = Readonly<Record<string, number>>;

export interface Request {
  readonly n: number;
  /** `sample` is `handle` one record at a time; `finish` also ends the process. */
  readonly kind: "handle" | "sample" | "finish";
  readonly entries: readonly Entry[];
}

export interface Answer {
  /** Lines for people, one for each record that is not as it should be. */
  readonly differences: readonly string[];
  readonly figures: Figures;
}

/** `n` 0 answers the start: the store is open. */
export type Reply =
  | ({ readonly kind: "answer"; readonly n: number } & Answer)
  | { readonly kind: "failed"; readonly message: string }
  | { readonly kind: "pass"; readonly report: CompactionReport };
