/** Mechanisms of catalogues switched off. */
import type { Mutant } from "./mutant.ts";

export const CATALOGUE_MUTANTS: readonly Mutant[] = [
  {
    name: "catalogues are garbage",
    breaks: ["ORPHAN", "C7"],
    does: "deletes catalogues that the manifest names, as if it mentioned only their runs",
    edits: [
      {
        file: "compaction/collector.ts",
        find: "    ...manifest.catalogues.map(({ path }) => path),\n",
        put: "",
      },
    ],
  },
  {
    name: "a replaced catalogue is forgotten",
    breaks: ["ORPHAN", "C7"],
    does: "does not retire catalogues that it replaces",
    edits: [
      {
        file: "compaction/publication.ts",
        find: "(kept.has(path) ? [] : [{ path }])",
        put: "(kept.has(path) ? [] : [])",
      },
    ],
    test: {
      file: "compaction/catalogues.test.ts",
      name: "a unit writes few catalogues anew, and the replaced ones are deleted after the grace",
    },
  },
  {
    name: "a catalogue shows what was excised since",
    breaks: ["LEVELS", "C7"],
    does: "keeps a catalogue although more of its runs has been excised",
    edits: [
      {
        file: "compaction/fold.ts",
        find: "JSON.stringify(a.excised) === JSON.stringify(b.excised)",
        put: "true",
      },
    ],
  },
  {
    name: "ids at the end of a catalogue",
    breaks: ["ACKED", "V7"],
    does: "does not look into the catalogue whose last id is the one it looks for",
    edits: [
      {
        file: "view/view.ts",
        find: "if (from <= id && id < to) return true;",
        put: "if (from <= id && `${id}\\0` < to) return true;",
      },
    ],
  },
  {
    name: "followers pass catalogues over",
    breaks: ["FOLLOWER", "T5"],
    does: "reports nothing of runs in catalogues that a publication has changed",
    edits: [
      {
        file: "read/run-changes.ts",
        find: "manifest.catalogues.filter(({ path }) => !shared.has(path));",
        put: "manifest.catalogues.filter(({ path }) => shared.size < 0 && shared.has(path));",
      },
    ],
  },
  {
    name: "what was read of a catalogue is taken for another's",
    breaks: ["ACKED", "V4"],
    does: "takes the runs of a catalogue in the same place of an older manifest for its own",
    edits: [
      {
        file: "view/catalogues.ts",
        find: "const contents = new Map(known?.catalogues.map(({ path, content }) => [path, content]));",
        put: "const contents = new Map(known?.catalogues.map(({ content }, at) => [manifest.catalogues[at]?.path, content]));",
      },
    ],
  },
  {
    name: "a merged catalogue is merged for good",
    breaks: ["ACKED", "V6"],
    does: "takes memory of any catalogue of a level for memory of those that replace it",
    edits: [
      {
        file: "read/load-records.ts",
        find: "!this.#merged.has(catalogue.path) &&",
        put: "this.#merged.size === 0 &&",
      },
    ],
  },
];
