/**
 * The blob calls of a backend, in terms of get, put, list and delete. A backend that extends this
 * class implements just the calls of the medium.
 */
import { append } from "../core/bulk.ts";
import { InvalidArgumentError, StoreNotFoundError } from "../core/errors.ts";
import type {
  FoundObject,
  GetOptions,
  GetResult,
  ListOptions,
  ListPage,
  Precondition,
  PutOptions,
  PutResult,
  RequestOptions,
  StorageBackend,
} from "./backend.ts";
import { checkPath, checkPrefix } from "../core/relative-path.ts";

/** Base of a backend: implements the blob calls over the calls of the medium. */
export abstract class BaseBackend implements StorageBackend {
  abstract initialize(location: string, options: { readonly readOnly: boolean }): Promise<void>;
  abstract shutdown(): Promise<void>;
  abstract get(path: string, options?: GetOptions): Promise<GetResult>;
  abstract put(
    path: string,
    body: Uint8Array | AsyncIterable<Uint8Array>,
    precondition: Precondition,
    options?: PutOptions,
  ): Promise<PutResult>;
  abstract list(prefix: string, options?: ListOptions): AsyncIterable<ListPage>;
  abstract delete(paths: readonly string[], options?: RequestOptions): Promise<void>;

  async writeBlob(path: string, content: Uint8Array | string): Promise<void> {
    const body = typeof content === "string" ? Buffer.from(content) : content;
    await this.put(checkPath(path), body, "none");
  }

  async readBlob(path: string): Promise<Buffer> {
    return toBuffer((await this.#find(path)).body);
  }

  async readBlobRange(path: string, offset: number, length: number): Promise<Buffer> {
    for (const [name, value] of Object.entries({ offset, length })) {
      if (!Number.isSafeInteger(value) || value < 0) {
        throw new InvalidArgumentError(`${name} must be a non-negative integer, found ${value}`);
      }
    }
    return toBuffer((await this.#find(path, { range: { offset, length } })).body);
  }

  async listBlobs(prefix: string): Promise<string[]> {
    const directory = checkPrefix(prefix);
    const names = new Set<string>();
    for await (const page of this.list(directory)) {
      for (const { path } of page.objects) {
        const name = path.slice(directory.length);
        if (name !== "" && !name.includes("/")) names.add(name);
      }
    }
    return [...names];
  }

  async deleteBlob(path: string): Promise<void> {
    await this.delete([checkPath(path)]);
  }

  async deleteBlobDir(prefix: string): Promise<void> {
    const directory = checkPrefix(prefix);
    if (directory === "")
      throw new InvalidArgumentError("deleteBlobDir needs a directory, not the store");
    const paths: string[] = [];
    for await (const page of this.list(directory))
      append(
        paths,
        page.objects.map(({ path }) => path),
      );
    await this.delete(paths);
  }

  async #find(path: string, options?: GetOptions): Promise<FoundObject> {
    const result = await this.get(checkPath(path), options);
    if (result.status !== "found")
      throw new StoreNotFoundError(`Blob '${path}' not found`, { path });
    return result;
  }
}

function toBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
