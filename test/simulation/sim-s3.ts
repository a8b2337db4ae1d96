/** The backend of `src/s3` itself, over a transport that is simulated. */
import { isCompactorLease } from "./object-server.ts";
import { MANIFEST_PATH } from "../../src/format/paths.ts";
import { BucketBackend } from "../../src/s3/bucket-backend.ts";
import { resolveOptions } from "../../src/s3/requests/options.ts";
import type {
  GetOptions,
  GetResult,
  ListPage,
  Precondition,
  PutOptions,
  PutResult,
  RequestOptions,
} from "../../src/storage/backend.ts";
import { SimTransport, type SimTransportOptions } from "./sim-transport.ts";

export interface SimS3Options extends SimTransportOptions {
  /** Each process has leases of its own: nobody keeps anybody out. */
  readonly arePrivateLeases: boolean;
}

const OWNER = { name: "the simulation", option: "client" };

export class SimS3Backend extends BucketBackend {
  readonly #sim: SimS3Options;
  /** Calls, whatever it takes to get them answered. */
  manifestGets = 0;

  constructor(options: SimS3Options) {
    const { process: runtime, isListUnordered } = options;
    // By its name it is a directory bucket, which lists in no order.
    const bucket = isListUnordered ? "simulated--x-s3" : "simulated";
    const given = { bucket, requestTimeoutMs: 2_000, attemptsMax: 3, runtime };
    super(resolveOptions(given, OWNER), new SimTransport(options));
    this.#sim = options;
  }

  override get(path: string, options: GetOptions = {}): Promise<GetResult> {
    if (path === MANIFEST_PATH) this.#freezeAtLook();
    return super.get(this.#name(path), options);
  }

  override put(
    path: string,
    body: Uint8Array | AsyncIterable<Uint8Array>,
    precondition: Precondition,
    options: PutOptions = {},
  ): Promise<PutResult> {
    return super.put(this.#name(path), body, precondition, options);
  }

  override async *list(prefix: string, options: RequestOptions = {}): AsyncGenerator<ListPage> {
    await this.#stall();
    for await (const page of super.list(prefix, options)) {
      yield page;
      await this.#stall();
    }
  }

  async #stall(): Promise<void> {
    const { process, network, count } = this.#sim;
    const { stalledList, stalledListMsMax } = network();
    if (!process.prng.chance(stalledList)) return;
    count("stalledPages");
    await process.sleep(process.prng.between(1, stalledListMsMax));
  }

  #freezeAtLook(): void {
    this.manifestGets++;
    const { process, network, count } = this.#sim;
    const { frozenLook, frozenLookMsMax } = network();
    if (!process.prng.chance(frozenLook)) return;
    count("frozenLooks");
    process.freeze(process.prng.between(1, frozenLookMsMax));
  }

  #name(path: string): string {
    const { arePrivateLeases, process } = this.#sim;
    return arePrivateLeases && isCompactorLease(path) ? `${path}.${process.name}` : path;
  }
}
