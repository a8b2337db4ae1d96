/** A writer with a stream of objects of its own. */
import type { Runtime } from "../core/runtime.ts";
import { decodeFilter } from "../format/paths.ts";
import { encodeBody, sealSegment } from "../format/segment-body.ts";
import type { StorageBackend } from "../storage/backend.ts";
import type { LogSettings, LogWriter, SegmentDraft, WrittenSegment } from "./log.ts";
import { ObjectStream, type PutThrough } from "./object-stream.ts";
import { versionNonce } from "./version-nonce.ts";

export class ObjectWriter implements LogWriter {
  readonly #through: PutThrough;
  readonly #stream: ObjectStream;

  constructor(backend: StorageBackend, runtime: Runtime, settings: LogSettings, agentId: string) {
    this.#through = { backend, timeoutMs: () => settings.writeTimeoutMs };
    this.#stream = new ObjectStream(runtime, agentId, settings.conditions);
  }

  async write({ lines, countsUntilMs, ...segment }: SegmentDraft): Promise<WrittenSegment> {
    const body = encodeBody(segment.operations, lines);
    const { lo, hi } = body;
    const { path, draft, dateMs } = await this.#stream.write(
      this.#through,
      body,
      (name, stream) => {
        const w = versionNonce(stream.rand, name, body.bytes);
        return { w, bytes: sealSegment({ ...segment, w }, body) };
      },
    );
    const { w, bytes } = draft;
    const filter = decodeFilter(body.filter) ?? "any";
    const ref = { key: path, path, range: undefined, lo, hi, filter, bytes: bytes.length };
    return { w, ref, dateMs, countsUntilMs };
  }

  async close(): Promise<void> {}
}
