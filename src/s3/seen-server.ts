/** What the requests of a connection show of the server they go to, and of the client. */
import type { ProofScope } from "../core/proof-scope.ts";
import { headerOf } from "./http-watch.ts";

/** Of the client that signs requests itself. */
const OWN_CLIENT = "opslog-serverless";

export class SeenServer {
  #endpoint = "";
  #client = OWN_CLIENT;

  /** @param request as the SDK makes it, or the light client */
  note(request: unknown): void {
    const { protocol, hostname, port, origin } = Object(request);
    if (origin instanceof URL) this.#endpoint = origin.origin;
    else if (typeof hostname === "string") {
      this.#endpoint = `${protocol}//${hostname}${port === undefined ? "" : `:${port}`}`;
    }
    this.#client =
      /aws-sdk-js\/[\w.-]+/.exec(headerOf(request, "user-agent") ?? "")?.[0] ?? OWN_CLIENT;
  }

  /** The bucket may stand in the name of the host. */
  scopeOf(bucket: string): ProofScope {
    const endpoint = this.#endpoint.replace(`//${bucket}.`, "//");
    return { endpoint, bucket, client: this.#client };
  }
}
