/** Several stores of one process through one client of the SDK. */
import type { S3Client } from "@aws-sdk/client-s3";
import { S3Backend } from "./s3-backend.ts";
import { listLocations, type StoreCriteria } from "../objects/discover.ts";
import { resolveOptions } from "../requests/options.ts";
import { createClient } from "./own-client.ts";
import { SdkTransport } from "./sdk-transport.ts";

export class SharedSdk {
  readonly #settings = resolveOptions({}, { name: "S3Backend", option: "client" });
  #held: S3Client | undefined;

  get #client(): S3Client {
    return (this.#held ??= createClient(this.#settings));
  }

  backend(): S3Backend {
    return new S3Backend({ client: this.#client });
  }

  /** As `listLocations`. */
  listLocations(under: string, criteria: StoreCriteria): Promise<string[]> {
    const transport = new SdkTransport(this.#settings, this.#client);
    return listLocations(under, { settings: this.#settings, transport }, criteria);
  }
}
