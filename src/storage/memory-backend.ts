import { InvalidArgumentError, NotOpenError } from "../core/errors.ts";
import { isBytes } from "../core/realm.ts";
import { systemRuntime } from "../core/runtime.ts";
import type { Runtime } from "../core/runtime.ts";
import type {
  GetOptions,
  GetResult,
  ListedObject,
  ListOptions,
  ListPage,
  Precondition,
  PutResult,
} from "./backend.ts";
import { BaseBackend } from "./base-backend.ts";
import { checkPath, checkPrefix } from "../core/relative-path.ts";

export interface MemoryBackendOptions {
  readonly runtime?: Runtime | undefined;
}

interface MemoryObject {
  readonly body: Uint8Array;
  readonly etag: string;
  readonly lastModifiedMs: number;
}

/** As S3, so that tests meet listings of more than one page. */
const PAGE_OBJECTS_MAX = 1_000;

/**
 * A store in memory, for tests: an object medium, as S3 is (no `appendable`, no `lock`).
 *
 * The data belong to the instance. Stores that share an instance and a location share data; every
 * location is a namespace of its own. Nothing survives the instance; `shutdown` keeps everything.
 * @example
 * const backend = new MemoryBackend();
 * const store = await Store.open("memory", { backend });
 */
export class MemoryBackend extends BaseBackend {
  /** As S3 does. */
  readonly listsInOrder: boolean = true;
  readonly #runtime: Runtime;
  readonly #locations = new Map<string, Map<string, MemoryObject>>();
  #objects: Map<string, MemoryObject> | undefined;
  #writes = 0;

  /** @throws InvalidArgumentError for an unknown option */
  constructor(options: MemoryBackendOptions = {}) {
    super();
    for (const name of Object.keys(options)) {
      if (name === "runtime") continue;
      throw new InvalidArgumentError(`unknown option of MemoryBackend: ${name}`);
    }
    this.#runtime = options.runtime ?? systemRuntime;
  }

  /** Any text is a location, and exists. */
  override async initialize(
    location: string,
    _options: { readonly readOnly: boolean },
  ): Promise<void> {
    await Promise.resolve();
    const objects = this.#locations.get(location) ?? new Map<string, MemoryObject>();
    this.#locations.set(location, objects);
    this.#objects = objects;
  }

  override async shutdown(): Promise<void> {
    await Promise.resolve();
  }

  override async get(path: string, options: GetOptions = {}): Promise<GetResult> {
    const objects = this.#bound();
    checkPath(path);
    await Promise.resolve();
    const dateMs = this.#runtime.nowMs();
    const object = objects.get(path);
    if (object === undefined) return { status: "absent", dateMs };
    if (options.ifNoneMatch === object.etag) return { status: "unchanged", dateMs };
    const { body, etag, lastModifiedMs } = object;
    const { offset, length } = options.range ?? { offset: 0, length: body.byteLength };
    const objectBytes = body.byteLength;
    const part = body.slice(offset, offset + length);
    return { status: "found", body: part, etag, objectBytes, lastModifiedMs, dateMs };
  }

  override async put(
    path: string,
    body: Uint8Array | AsyncIterable<Uint8Array>,
    precondition: Precondition,
  ): Promise<PutResult> {
    const objects = this.#bound();
    checkPath(path);
    const copy = isBytes(body) ? Uint8Array.from(body) : await collect(body);
    await Promise.resolve();
    // From here to the end in one step: that is what makes the put atomic.
    const dateMs = this.#runtime.nowMs();
    if (!holds(precondition, objects.get(path))) return { status: "conflict", dateMs };
    const etag = `"m${++this.#writes}"`;
    objects.set(path, { body: copy, etag, lastModifiedMs: dateMs });
    return { status: "written", etag, dateMs };
  }

  override async *list(prefix: string, { after = "" }: ListOptions = {}): AsyncGenerator<ListPage> {
    const objects = this.#bound();
    const directory = checkPrefix(prefix);
    await Promise.resolve();
    const listed: ListedObject[] = [];
    for (const [path, { body, lastModifiedMs }] of objects) {
      if (!path.startsWith(directory) || path <= after) continue;
      listed.push({ path, bytes: body.byteLength, lastModifiedMs });
    }
    listed.sort((a, b) => (a.path < b.path ? -1 : 1));
    let start = 0;
    do {
      const page = listed.slice(start, start + PAGE_OBJECTS_MAX);
      start += PAGE_OBJECTS_MAX;
      yield { objects: page, truncated: start < listed.length, dateMs: this.#runtime.nowMs() };
      await Promise.resolve();
    } while (start < listed.length);
  }

  override async delete(paths: readonly string[]): Promise<void> {
    const objects = this.#bound();
    paths.forEach(checkPath);
    await Promise.resolve();
    for (const path of paths) objects.delete(path);
  }

  #bound(): Map<string, MemoryObject> {
    if (this.#objects === undefined) {
      throw new NotOpenError("MemoryBackend is not initialized. Call initialize() first.");
    }
    return this.#objects;
  }
}

function holds(precondition: Precondition, current: MemoryObject | undefined): boolean {
  if (precondition === "none") return true;
  if ("ifAbsent" in precondition) return current === undefined;
  return current !== undefined && current.etag === precondition.ifMatch;
}

async function collect(chunks: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for await (const chunk of chunks) parts.push(Uint8Array.from(chunk));
  return new Uint8Array(Buffer.concat(parts));
}
