/** The parent's end of the channel: child processes as objects with asynchronous methods. */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import type { CompactionReport } from "opslog-serverless";
import type { Answer, Reply, Request, Role } from "./messages.ts";
import type { Entry } from "./record.ts";

/** First argument of a child's command line. */
export const CHILD_FLAG = "--child";

const SDK_WARNING_OFF = "AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED";

export interface ChildOptions {
  /** For people, and for the agent id. */
  readonly label: string;
  readonly role: Role;
  readonly location: string;
  /** Whether no child was started before. */
  readonly isFirst: boolean;
}

interface Waiting {
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: unknown) => void;
}

/** One process in one role. Every method rejects once the process has failed. */
export class Child {
  readonly label: string;
  readonly #process: ChildProcess;
  readonly #onPass: (report: CompactionReport) => void;
  readonly #waiting = new Map<number, Waiting>();
  #failure: Error | undefined;
  #lastRequest = 0;

  constructor(
    { label, role, location, isFirst }: ChildOptions,
    onPass: (report: CompactionReport) => void = () => undefined,
  ) {
    this.label = label;
    this.#onPass = onPass;
    const args = [CHILD_FLAG, role, location, `packages-${label.replace(" ", "-")}`];
    // What the SDK says about this version of Node the first process has said already.
    const env = { ...process.env, ...(isFirst ? {} : { [SDK_WARNING_OFF]: "true" }) };
    this.#process = fork(process.argv[1] ?? "", args, { env });
    // The child is this same program: what it sends is a Reply.
    this.#process.on("message", (message) => this.#receive(message as Reply));
    this.#process.on("error", (error) => this.#fail(error.message));
    this.#process.on("exit", (code, signal) => this.#fail(`ended with ${signal ?? code}`));
  }

  /** Resolves when the child has its store open. */
  started(): Promise<Answer> {
    return this.#answer(0);
  }

  handle(entries: readonly Entry[]): Promise<Answer> {
    return this.#ask("handle", entries);
  }

  sample(entries: readonly Entry[]): Promise<Answer> {
    return this.#ask("sample", entries);
  }

  /** Its last words; resolves when the process has ended. */
  async finish(): Promise<Answer> {
    const answer = await this.#ask("finish", []);
    await this.#ended();
    return answer;
  }

  /** At once; the store bears it. */
  async kill(): Promise<void> {
    this.#process.kill("SIGKILL");
    await this.#ended();
  }

  async #ended(): Promise<void> {
    const { exitCode, signalCode, pid } = this.#process;
    const isRunning = pid !== undefined && exitCode === null && signalCode === null;
    if (isRunning) await once(this.#process, "exit");
  }

  #ask(kind: Request["kind"], entries: readonly Entry[]): Promise<Answer> {
    const request: Request = { n: ++this.#lastRequest, kind, entries };
    const answer = this.#answer(request.n);
    if (this.#failure === undefined) {
      this.#process.send(request, (error) => {
        if (error !== null) this.#fail(error.message);
      });
    }
    return answer;
  }

  #answer(n: number): Promise<Answer> {
    return new Promise((resolve, reject) => {
      if (this.#failure !== undefined) reject(this.#failure);
      else this.#waiting.set(n, { resolve, reject });
    });
  }

  #receive(message: Reply): void {
    switch (message.kind) {
      case "pass":
        return this.#onPass(message.report);
      case "failed":
        return this.#fail(message.message);
      case "answer":
        this.#waiting.get(message.n)?.resolve(message);
        this.#waiting.delete(message.n);
    }
  }

  /** The first reason counts: the end of the process follows from it. */
  #fail(reason: string): void {
    this.#failure ??= new Error(`${this.label}: ${reason}`);
    for (const { reject } of this.#waiting.values()) reject(this.#failure);
    this.#waiting.clear();
  }
}

/** Gives the entries to the children in chunks, as fast as they take them. */
export async function distribute(
  children: readonly Child[],
  entries: Iterable<Entry>,
  { chunk, inFlight }: { readonly chunk: number; readonly inFlight: number },
  onAnswer: (answer: Answer, entries: number) => void,
): Promise<void> {
  const chunks = chunksOf(entries, chunk);
  const lanes = children.flatMap((child) =>
    Array.from({ length: inFlight }, async () => {
      // The lanes share one iterator, so each chunk is taken once.
      for (const some of chunks) onAnswer(await child.handle(some), some.length);
    }),
  );
  await Promise.all(lanes);
}

function* chunksOf(entries: Iterable<Entry>, size: number): Generator<Entry[]> {
  let chunk: Entry[] = [];
  for (const entry of entries) {
    chunk.push(entry);
    if (chunk.length < size) continue;
    yield chunk;
    chunk = [];
  }
  if (chunk.length > 0) yield chunk;
}
