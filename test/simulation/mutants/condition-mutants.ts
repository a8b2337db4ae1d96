/** The proof that a medium honours preconditions, switched off. */
import type { Mutant } from "./mutant.ts";

const CARELESS = {
  file: "simulation/careless.test.ts",
  name: "where the server ignores conditions nothing is acknowledged",
};

export const CONDITION_MUTANTS: readonly Mutant[] = [
  {
    name: "no proof by a first write",
    breaks: ["ACKED", "P4"],
    does: "acknowledges what a server took that ignores preconditions",
    edits: [
      {
        file: "storage/conditions.ts",
        find: "if (this.#createsHold) return;",
        put: "if (backend.proofScope !== undefined) return;",
      },
    ],
    test: CARELESS,
  },
  {
    name: "no probe",
    breaks: ["ACKED", "P2"],
    does: "publishes manifests on a server that ignores preconditions",
    edits: [
      {
        file: "storage/conditions.ts",
        find: "throw this.#refuse(proofScope, wrong);",
        put: "",
      },
    ],
    test: CARELESS,
  },
  {
    name: "a verdict counts anywhere",
    breaks: ["P3"],
    does: "trusts for one server what was shown of another",
    edits: [
      {
        file: "core/proof-scope.ts",
        find: 'endpoint !== "" && proven.some(',
        put: "proven.length > 0 || proven.some(",
      },
    ],
    test: {
      file: "storage/conditions.test.ts",
      name: "of one server is void for a writer on another",
    },
  },
  {
    name: "dropped conditions go out",
    breaks: ["P1"],
    does: "sends a request from which an old SDK has removed the condition",
    edits: [
      {
        file: "s3/requests/exchange.ts",
        find: "checkConditions(request, this.#call.conditions);",
        put: "",
      },
    ],
    test: { file: "s3/conditions.test.ts", name: "is noticed before anything is sent" },
  },
];
