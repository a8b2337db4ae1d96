/** The child's end of the channel. */
import { type Answer, type Reply, type Request, type Role, ROLES } from "./messages.ts";
import { startEagerReader, startLazyReader } from "./readers.ts";
import type { Started, Worker, WorkerContext } from "./worker.ts";
import { startCompactor, startPreparer, startWriter } from "./writers.ts";

const STARTS: Readonly<Record<Role, (context: WorkerContext) => Promise<Started>>> = {
  prepare: startPreparer,
  writer: startWriter,
  compactor: startCompactor,
  eager: startEagerReader,
  lazy: startLazyReader,
};

/** Serves requests until `finish`. @param args role, location and agent id */
export async function runChild([name, location = "", agentId = ""]: string[]): Promise<void> {
  const role = ROLES.find((known) => known === name);
  if (role === undefined) throw new Error(`unknown role ${name}`);
  // Without its parent a child has nobody to work for; what it acknowledged is durable.
  process.on("disconnect", () => process.exit(1));
  // Ctrl-C reaches the whole group; the parent ends its children.
  process.on("SIGINT", () => undefined);
  const onPass: WorkerContext["onPass"] = (report) => reply({ kind: "pass", report });
  try {
    const { worker, figures } = await STARTS[role]({ location, agentId, onPass, fail });
    // The parent is this same program: what it sends is a Request.
    process.on("message", (message) => void serve(worker, message as Request));
    reply({ kind: "answer", n: 0, differences: [], figures });
  } catch (error) {
    fail(error);
  }
}

async function serve(worker: Worker, { n, kind, entries }: Request): Promise<void> {
  try {
    const answer = await answerTo(worker, { n, kind, entries });
    if (kind !== "finish") return reply({ kind: "answer", n, ...answer });
    const peakRssBytes = process.resourceUsage().maxRSS * 1024;
    const figures = { ...answer.figures, peakRssBytes };
    reply({ kind: "answer", n, ...answer, figures }, () => process.exit(0));
  } catch (error) {
    fail(error);
  }
}

function answerTo(worker: Worker, { kind, entries }: Request): Promise<Answer> {
  switch (kind) {
    case "handle":
      return worker.handle(entries);
    case "sample":
      return worker.sample(entries);
    case "finish":
      return worker.finish();
  }
}

function fail(error: unknown): void {
  const message = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  reply({ kind: "failed", message }, () => process.exit(1));
}

/** @param then called once the reply has left the process */
function reply(message: Reply, then?: () => void): void {
  process.send?.(message, () => then?.());
}
