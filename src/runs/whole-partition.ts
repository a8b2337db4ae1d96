/**
 * A partition of a run that a merge may copy as it is stored: with its blocks and its filter, unread. The
 * merge does so where no other source has an id in between; otherwise its entries are merged.
 */
import type { RunEntry } from "../core/version.ts";
import { corrupt } from "../format/json-line.ts";
import type { Block, PartitionContent } from "../format/run-index.ts";
import { type IdSpan, lineBytes, type RunInfo } from "../format/run-info.ts";
import { storedRunLines } from "../format/stored-line.ts";
import { PARTITION_BYTES_MAX } from "./index-builder.ts";
import { blockSpans, readSpans, spanSizes } from "./read-spans.ts";
import type { RunObjects } from "./run-objects.ts";
import type { EntryBatches, Part } from "./merge.ts";
import { behind } from "./visible.ts";

/** What else may be in a line of the index at another place: a longer separator, more digits. */
const MOVED_BYTES_MAX = 4 * 1024;
/** What a code unit takes at most as JSON. */
const UNIT_BYTES_MAX = 6;

export interface CopyOptions {
  /** Shorter lines of an index are not copied: their partitions are put together. */
  readonly indexBytesMin: number;
  /** Records of a lower schema version are not copied. */
  readonly schemaMin: number;
  /** Whether there is time to copy about so many bytes of lines. */
  readonly hasTime: (bytes: number) => boolean;
}

interface Source {
  readonly objects: RunObjects;
  readonly content: PartitionContent;
  readonly spanBytesMax: number | undefined;
  readonly entries: () => EntryBatches;
}

export class WholePartition implements Part {
  readonly from: string;
  readonly to: string;
  /** Of its lines, about. */
  readonly bytes: number;
  readonly content: PartitionContent;
  /** Called with how many entries were read, where they are merged. */
  onEntries: (count: number) => void = () => undefined;
  readonly #entries: () => EntryBatches;
  readonly #objects: RunObjects;
  readonly #spanBytesMax: number | undefined;

  constructor({ from, to }: Bounds, { objects, content, entries, spanBytesMax }: Source) {
    const { run } = objects;
    this.from = from;
    this.to = to;
    this.content = content;
    this.#entries = entries;
    this.#objects = objects;
    this.#spanBytesMax = spanBytesMax;
    const stored = content.blocks.reduce((sum, { length }) => sum + length, 0);
    this.bytes = Math.ceil((stored / run.bytes) * lineBytes(run));
  }

  get run(): RunInfo {
    return this.#objects.run;
  }

  get path(): string {
    return this.run.path;
  }

  /** All that it holds, for a merge with others. */
  async *entries(): AsyncGenerator<readonly RunEntry[]> {
    for await (const batch of this.#entries()) {
      yield batch;
      this.onEntries(batch.length);
    }
  }

  /** As they are stored, each verified by its checksum. @throws as `RunObjects.verified` does */
  async *blocks(): AsyncGenerator<{ readonly block: Block; readonly bytes: Buffer }> {
    const { blocks } = this.content;
    const { groups, spans } = blockSpans(blocks, spanSizes(this.#spanBytesMax));
    for await (const piece of readSpans((span) => this.#objects.read(span), spans)) {
      for (const block of groups.shift() ?? []) {
        const start = block.offset - piece.offset;
        const bytes = piece.bytes.subarray(start, start + block.length);
        yield { block, bytes: await this.#objects.verified(bytes, block) };
      }
    }
  }

  /** The first and the last id of a block. @throws CorruptionError also where it lies elsewhere */
  idsOf(bytes: Buffer, { offset }: Block): { readonly first: string; readonly last: string } {
    const place = { path: this.path, offset };
    const lines = this.#objects.unpacked(bytes, { offset });
    const entries = storedRunLines(lines.bytes, { ...place, isPacked: lines.isPacked });
    const [first, last] = [entries[0]?.id, entries.at(-1)?.id];
    if (first !== undefined && last !== undefined && first >= this.from && last < this.to) {
      return { first, last };
    }
    throw corrupt("a block without ids, or of ids of another partition", place);
  }
}

interface Bounds {
  readonly from: string;
  readonly to: string;
}

/** Where the ids of a partition lie, as its run says. */
export function partitionBounds({ run }: RunObjects, at: number): Bounds {
  const { partitions, minId, maxId } = run;
  const from = at === 0 ? minId : (partitions[at]?.separator ?? minId);
  return { from, to: partitions[at + 1]?.separator ?? behind(maxId) };
}

/** Whether a partition may be copied whole, as far as its line in the manifest shows. */
export function mayCopy(
  objects: RunObjects,
  at: number,
  { from, to }: IdSpan,
  { indexBytesMin }: CopyOptions,
): boolean {
  const own = partitionBounds(objects, at);
  const length = objects.run.partitions[at]?.length ?? 0;
  const lengthMax = PARTITION_BYTES_MAX - MOVED_BYTES_MAX - own.from.length * UNIT_BYTES_MAX;
  const isWhole = from <= own.from && (to === undefined || own.to <= to);
  return isWhole && length >= indexBytesMin && length <= lengthMax;
}

/** Whether its lines need no more than to be copied: a deletion may have to be noted, or purged. */
export function isCopyable(
  { tombstones, minSchema = 0 }: PartitionContent,
  { schemaMin }: CopyOptions,
): boolean {
  return tombstones === 0 && minSchema >= Math.max(1, schemaMin);
}
