/** A TCP relay whose connections can fall silent, as those of a process that was frozen. */
import { connect, createServer, type Socket } from "node:net";

export interface Relay extends AsyncDisposable {
  readonly endpoint: string;
  /** Passes nothing on any more and tells nobody; connections made later are sound. */
  silence(): number;
}

export async function relayTo(target: string): Promise<Relay> {
  const { hostname: host, port } = new URL(target);
  let sound: Socket[] = [];
  const all = new Set<Socket>();
  const server = createServer((near) => {
    const far = connect({ host, port: Number(port) });
    near.pipe(far).pipe(near);
    sound.push(near, far);
    for (const [socket, other] of [
      [near, far],
      [far, near],
    ] as const) {
      all.add(socket);
      socket.on("error", () => undefined);
      socket.on("close", () => {
        all.delete(socket);
        if (sound.includes(socket)) other.destroy();
      });
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port to listen on");
  return {
    endpoint: `http://127.0.0.1:${address.port}`,
    silence: () => {
      const silenced = sound.filter((socket) => all.has(socket));
      sound = [];
      for (const socket of silenced) {
        socket.unpipe();
        socket.resume();
      }
      return silenced.length / 2;
    },
    [Symbol.asyncDispose]: async () => {
      for (const socket of all) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
