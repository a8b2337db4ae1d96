/** What the requests of a connection show of the server they go to, and of the client. */
import type { ProofScope } from "../../core/proof-scope.ts";
import { headerOf } from "./http-watch.ts";

/** Of the client that signs requests itself. */
const OWN_CLIENT = "opslog-serverless";

export class SeenServer {
  /** Scheme, host and port. */
  #origin = "";
  #path = "";
  #client = OWN_CLIENT;

  /** @param request as the SDK makes it, or the light client */
  note(request: unknown): void {
    const { protocol, hostname, port, origin, path, target } = Object(request);
    if (origin instanceof URL) this.#origin = origin.origin;
    else if (typeof hostname === "string")
      this.#origin = originOf(`${protocol}//${hostname}`, Number(port));
    this.#path = String(path ?? target ?? "");
    const agent = headerOf(request, "user-agent") ?? "";
    this.#client = /aws-sdk-js\/[\w.-]+/.exec(agent)?.[0] ?? OWN_CLIENT;
  }

  /** The bucket stands in the name of the host, or in the path: behind that of the endpoint. */
  scopeOf(bucket: string): ProofScope {
    const inHost = `//${bucket}.`;
    const client = this.#client;
    if (this.#origin.includes(inHost)) {
      return { endpoint: this.#origin.replace(inHost, "//"), bucket, client };
    }
    const base = this.#path.slice(0, Math.max(0, this.#path.indexOf(`/${bucket}`)));
    return { endpoint: this.#origin + base, bucket, client };
  }
}

/** @param port NaN: the default one */
function originOf(host: string, port: number): string {
  const text = Number.isNaN(port) ? host : `${host}:${port}`;
  return URL.canParse(text) ? new URL(text).origin : text;
}
