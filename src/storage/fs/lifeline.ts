/**
 * A listening socket that the kernel closes when its process or thread ends, however it ends: so
 * that others can check whether the holder of a lock is gone, where its pid means nothing to them. It
 * is an abstract one (Linux), which leaves no file behind; it is known in one network namespace.
 */
import { connect, createServer } from "node:net";
import { errno } from "./errors.ts";

export interface Lifeline {
  /** For checks by others in the same network namespace. */
  readonly name: string;
  close(): void;
}

/** Undefined where the system has none, or does not allow it. */
export async function openLifeline(token: string): Promise<Lifeline | undefined> {
  if (process.platform !== "linux") return undefined;
  const name = `opslog-${token}`;
  const server = createServer((socket) => socket.destroy());
  const isOpen = new Promise<boolean>((resolve) => {
    // Later ones, too: a process out of file descriptors cannot accept, and must not end by that.
    server.on("error", () => resolve(false));
    server.once("listening", () => resolve(true));
  });
  // Exclusive: the workers of a cluster would otherwise share one that their primary holds.
  server.listen({ path: `\0${name}`, exclusive: true });
  server.unref();
  if (!(await isOpen)) return undefined;
  return { name, close: () => server.close() };
}

/** Whether a process listens; undefined if the system does not show it. */
export async function isAnswered(name: string): Promise<boolean | undefined> {
  const socket = connect({ path: `\0${name}` });
  try {
    return await new Promise((resolve) => {
      socket.once("connect", () => resolve(true));
      socket.once("error", (error) => resolve(verdictOf(errno(error))));
    });
  } finally {
    socket.destroy();
  }
}

/** EAGAIN: the queue of a stopped process is full of such checks. */
function verdictOf(code: string | undefined): boolean | undefined {
  if (code === "EAGAIN") return true;
  return code === "ECONNREFUSED" ? false : undefined;
}
