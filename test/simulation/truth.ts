/**
 * What the objects themselves say, at this moment: runs and archives of the current manifest, and
 * live segments.
 */
import {
  decodeManifest,
  EMPTY_MANIFEST,
  laneFloor,
  type Manifest,
} from "../../src/format/manifest-codec.ts";
import { decodeCatalogue } from "../../src/format/catalogue.ts";
import { allRuns } from "../../src/format/levels.ts";
import type { RunInfo } from "../../src/format/run-info.ts";
import {
  type LanePlace,
  LOG_PREFIX,
  MANIFEST_PATH,
  parseClaimPath,
  parseSegmentPath,
  parseTxnPath,
} from "../../src/format/paths.ts";
import { isPacked, packedLength, unpackBlock } from "../../src/format/run-block.ts";
import { decodeRunLines } from "../../src/format/run-codec.ts";
import { type ArchiveInfo, decodeArchiveList } from "../../src/format/archive-list.ts";
import { isHidden } from "../../src/core/hidden.ts";
import type { RunEntry } from "../../src/core/version.ts";
import { versionOf } from "../../src/format/segment.ts";
import { decodeSegment } from "../../src/format/segment-decoder.ts";
import { hasForm, plainText } from "./form.ts";
import { compareOps, type Versioned } from "./ledger.ts";
import type { Op } from "./sent-segments.ts";
import type { ObjectServer, StoredObject } from "./object-server.ts";
import { numbersOf, placesIn, segmentsIn } from "./sent-segments.ts";

type Winners = Map<string, Versioned>;

interface Founding {
  readonly manifest: StoredObject | undefined;
  readonly paths: readonly string[];
  readonly winners: Winners;
}

interface Frame {
  readonly lo: number;
  readonly winners: Winners;
}

export class Truth {
  readonly #server: ObjectServer;
  /** An object is never changed: another one takes its place. */
  readonly #decoded = new WeakMap<StoredObject, Winners>();
  /** Lowest clock of a segment, by its path; 0 for what is none. */
  readonly #los = new Map<string, number>();
  readonly #frames = new WeakMap<Uint8Array, Frame>();
  #manifest: { readonly object: StoredObject; readonly manifest: Manifest } | undefined;
  /** Since the last change. */
  #winners:
    | { readonly changes: number; readonly winners: Winners; readonly hidden: Winners }
    | undefined;

  readonly #fail: (rule: string, message: string) => void;
  /** What the original left, as long as the manifest is its own. */
  #founding: Founding | undefined;

  constructor(server: ObjectServer, fail: (rule: string, message: string) => void) {
    this.#server = server;
    this.#fail = fail;
  }

  /** The store is one of the original, until its manifest is replaced. */
  found(paths: readonly string[], ops: readonly Op[]): void {
    const manifest = this.#server.objects.get(MANIFEST_PATH);
    const winners: Winners = new Map();
    for (const op of ops) mergeInto(winners, new Map([[op.id, op]]));
    this.#founding = { manifest, paths, winners };
  }

  #original(): Founding | undefined {
    const manifest = this.#server.objects.get(MANIFEST_PATH);
    return this.#founding?.manifest === manifest ? this.#founding : undefined;
  }

  manifest(): Manifest {
    const object = this.#server.objects.get(MANIFEST_PATH);
    if (object === undefined || this.#original() !== undefined) return EMPTY_MANIFEST;
    if (this.#manifest?.object !== object) {
      const manifest = this.#withContents(decodeManifest(object.body, MANIFEST_PATH));
      this.#manifest = { object, manifest };
    }
    return this.#manifest.manifest;
  }

  /** A catalogue that is not there is missing itself. */
  #withContents(manifest: Manifest): Manifest {
    const catalogues = manifest.catalogues.map((catalogue) => {
      const object = this.#server.objects.get(catalogue.path);
      return { ...catalogue, content: object && decodeCatalogue(object.body, catalogue) };
    });
    return { ...manifest, catalogues };
  }

  /** All that the current manifest names. */
  runs(): RunInfo[] {
    const { runs, catalogues } = this.manifest();
    return allRuns({ runs, catalogues: catalogues.filter(({ content }) => content !== undefined) });
  }

  /** Every archive that the current manifest names, in lists, too. */
  archives(): ArchiveInfo[] {
    const { archive, listedArchives } = this.manifest();
    const listed = listedArchives.lists.flatMap((list) => {
      const object = this.#server.objects.get(list.path);
      return object === undefined ? [] : decodeArchiveList(object.body, list);
    });
    return [...listed, ...archive];
  }

  /** Objects the current manifest needs and that are not there. */
  missing(): string[] {
    const { catalogues, listedArchives } = this.manifest();
    const original = this.#original()?.paths ?? [];
    const needed = [
      ...[...catalogues, ...listedArchives.lists, ...this.archives()].map(({ path }) => path),
      ...this.runs().flatMap(({ path, index }) => [path, index]),
      ...original,
    ];
    return needed.filter((path) => !this.#server.objects.has(path));
  }

  /** The records of an archive, at their versions; none when it is not there. */
  archived({ path }: ArchiveInfo): ReadonlyMap<string, Versioned> {
    const object = this.#server.objects.get(path);
    // After the header, lines are those of a run.
    return object === undefined ? new Map() : this.#decode(path, object, this.#decodeRun);
  }

  /** The highest version of each id, deletions included as far as they are not purged. */
  winners(): ReadonlyMap<string, Versioned> {
    return this.#current().winners;
  }

  /** The same of the records that users do not see. */
  hidden(): ReadonlyMap<string, Versioned> {
    return this.#current().hidden;
  }

  #current(): { readonly winners: Winners; readonly hidden: Winners } {
    const { changes } = this.#server;
    if (this.#winners?.changes !== changes) {
      const [winners, hidden] = partitioned(this.#findWinners());
      this.#winners = { changes, winners, hidden };
    }
    return this.#winners;
  }

  #findWinners(): Winners {
    const manifest = this.manifest();
    const { purgeFloor } = manifest;
    const winners = this.#mergeRuns();
    for (const [path, object] of this.#server.objects) {
      if (!path.startsWith(LOG_PREFIX)) continue;
      if (parseClaimPath(path) !== undefined || parseTxnPath(path) !== undefined) {
        const isPassed = (place: LanePlace): boolean => place.n <= laneFloor(manifest, place.lane);
        if (!placesIn(path, object.body).some(isPassed))
          mergeInto(winners, this.#decode(path, object, decodeLog));
        continue;
      }
      const lo = this.#loOf(path);
      if (lo > purgeFloor) mergeInto(winners, this.#decode(path, object, decodeLog));
      for (const { bytes } of object.frames ?? []) {
        const frame = this.#decodeFrame(path, bytes);
        if (frame.lo > purgeFloor) mergeInto(winners, frame.winners);
      }
    }
    return winners;
  }

  #loOf(path: string): number {
    let lo = this.#los.get(path);
    if (lo === undefined) this.#los.set(path, (lo = parseSegmentPath(path)?.lo ?? 0));
    return lo;
  }

  /** The highest version of each id in the runs of the current manifest. */
  published(): ReadonlyMap<string, Versioned> {
    return partitioned(this.#mergeRuns())[0];
  }

  #mergeRuns(): Winners {
    const winners: Winners = new Map(this.#original()?.winners);
    const levels = new Map<string, string>();
    for (const { path, level, excised = [] } of this.runs()) {
      const object = this.#server.objects.get(path);
      if (object === undefined) continue;
      const visible = [...this.#decode(path, object, this.#decodeRun)].filter(
        ([id]) => !excised.some(({ from, to }) => id >= from && (to === undefined || id < to)),
      );
      mergeInto(winners, new Map(visible));
      for (const [id] of visible) {
        const other = levels.get(`${level} ${id}`);
        if (other !== undefined) this.#fail("LEVEL", `${other} and ${path} both show ${id}`);
        levels.set(`${level} ${id}`, path);
      }
    }
    return winners;
  }

  /** VERBATIM, and what a checkpoint migrates it writes under its version. */
  readonly #decodeRun = (path: string, body: Uint8Array): Winners => {
    const bytes = Buffer.from(body);
    const winners: Winners = new Map();
    for (const entry of entriesIn(path, bytes)) {
      const { id, version, schemaVersion: schema, text } = entry;
      if (text !== undefined && !isHidden(id) && !hasForm(text, schema)) {
        this.#fail("SCHEMA", `${path} holds ${text} under version ${schema}`);
      }
      winners.set(id, { ...numbersOf(version), schema, text: text && plainText(text) });
    }
    return winners;
  };

  #decodeFrame(path: string, bytes: Uint8Array): Frame {
    const known = this.#frames.get(bytes);
    if (known !== undefined) return known;
    const clocks = decodeSegment(bytes, { path, offset: 0 }).operations.map(({ clock }) => clock);
    const frame = { lo: clocks[0] ?? 0, winners: decodeLog(path, bytes) };
    this.#frames.set(bytes, frame);
    return frame;
  }

  #decode(
    path: string,
    object: StoredObject,
    decode: (path: string, body: Uint8Array) => Winners,
  ): Winners {
    let known = this.#decoded.get(object);
    if (known === undefined) this.#decoded.set(object, (known = decode(path, object.body)));
    return known;
  }
}

/** Behind the header: lines, or packed blocks of them. */
function* entriesIn(path: string, run: Buffer): Generator<RunEntry> {
  for (let at = run.indexOf(10) + 1; at < run.length;) {
    const [rest, place] = [run.subarray(at), { path, offset: at }];
    const length = isPacked(rest) ? packedLength(rest, place) : rest.length;
    const lines = unpackBlock(rest.subarray(0, length), place);
    yield* decodeRunLines(lines.bytes, { path, ...lines });
    at = lines.end;
  }
}

function decodeLog(path: string, body: Uint8Array): Winners {
  const winners: Winners = new Map();
  for (const segment of segmentsIn(path, body)) {
    const { schemaVersion: schema } = segment;
    for (const operation of segment.operations) {
      const { id, op, data } = operation;
      const text = op === "set" ? plainText(JSON.stringify(data)) : undefined;
      const version = numbersOf(versionOf(segment, operation));
      mergeInto(winners, new Map([[id, { ...version, schema, text }]]));
    }
  }
  return winners;
}

/** Of users, and those that they do not see. */
function partitioned(all: Winners): [users: Winners, hidden: Winners] {
  const [users, hidden]: [Winners, Winners] = [new Map(), new Map()];
  for (const [id, winner] of all) (isHidden(id) ? hidden : users).set(id, winner);
  return [users, hidden];
}

function mergeInto(winners: Winners, more: Winners): void {
  for (const [id, entry] of more) {
    const current = winners.get(id);
    if (current === undefined || compareOps(entry, current) > 0) winners.set(id, entry);
  }
}
