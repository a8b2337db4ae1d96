/** A medium that must prove its preconditions, and ignores them to order. */
import type { ProofScope } from "../../src/core/proof-scope.ts";
import { decodeManifest } from "../../src/format/manifest-codec.ts";
import type { Precondition, PutOptions, PutResult } from "../../src/storage/backend.ts";
import { MemoryBackend } from "../../src/storage/memory-backend.ts";

export const SCOPE: ProofScope = { endpoint: "https://one", bucket: "b", client: "client/1" };

type Call = { readonly path: string; readonly precondition: Precondition };
type Put = () => Promise<PutResult>;

/** Several of them may share their objects; each is asked by a client of its own. */
export class AskedMedium extends MemoryBackend {
  proofScope: ProofScope | undefined = SCOPE;
  readonly calls: string[] = [];
  readonly shared: MemoryBackend;
  /** What a put does instead. */
  answer: (call: Call, put: Put) => Promise<PutResult> = (_, put) => put();
  failingDelete: Error | undefined;

  constructor(shared = new MemoryBackend()) {
    super();
    this.shared = shared;
  }

  override async initialize(): Promise<void> {
    await this.shared.initialize("shared", { readOnly: false });
  }

  override get: MemoryBackend["get"] = (...args) => this.shared.get(...args);
  override list: MemoryBackend["list"] = (...args) => this.shared.list(...args);

  override async put(
    path: string,
    body: Uint8Array,
    precondition: Precondition,
    _options?: PutOptions,
  ): Promise<PutResult> {
    const put = (how: Precondition): Promise<PutResult> => this.shared.put(path, body, how);
    const result = await this.answer({ path, precondition }, () =>
      put(this.effective(precondition)),
    );
    this.calls.push(`put ${path} ${result.status}`);
    return result;
  }

  effective: (precondition: Precondition) => Precondition = (precondition) => precondition;

  override async delete(paths: readonly string[]): Promise<void> {
    if (this.failingDelete !== undefined) throw this.failingDelete;
    await this.shared.delete(paths);
  }

  async paths(): Promise<string[]> {
    const found: string[] = [];
    for (const prefix of ["ops/", "snapshots/"]) {
      for await (const page of this.list(prefix)) found.push(...page.objects.map((o) => o.path));
    }
    return found;
  }

  async verdicts(): Promise<readonly ProofScope[]> {
    const found = await this.get("manifest.json");
    return found.status === "found" ? decodeManifest(found.body, "m").conditions : [];
  }
}

/** Creates are taken for plain writes. */
export const ignoring = (precondition: Precondition): Precondition => {
  return precondition === "none" || "ifAbsent" in precondition ? "none" : precondition;
};
