/** The code of the documents, as it stands there. */
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { projectDirectory } from "../functions/support.ts";

export interface Document {
  /** Relative to the project. */
  readonly path: string;
  readonly text: string;
}

export interface Snippet {
  /** "README.md:67" */
  readonly place: string;
  /** "README.md#On Lambda ts 1": document, heading, language, and its number among those there. */
  readonly name: string;
  /** "ts", "sh"; "" where the document names none: output and patterns. */
  readonly language: string;
  readonly code: string;
}

/** Every Markdown file of the project, new ones, too. */
export function readDocuments(): Document[] {
  const args = ["ls-files", "--cached", "--others", "--exclude-standard", "*.md"];
  const paths = execFileSync("git", args, { cwd: projectDirectory, encoding: "utf8" });
  return paths
    .trim()
    .split("\n")
    .map((path) => ({ path, text: readFileSync(join(projectDirectory, path), "utf8") }));
}

export function snippetsOf({ path, text }: Document): Snippet[] {
  const found: Snippet[] = [];
  const counts = new Map<string, number>();
  let heading = "";
  let open: { language: string; line: number; code: string[] } | undefined;
  for (const [at, line] of text.split("\n").entries()) {
    const [, fence] = /^```(\S*)/.exec(line) ?? [];
    if (open !== undefined && fence === undefined) {
      open.code.push(line);
    } else if (open !== undefined) {
      const kind = `${path}#${heading} ${open.language}`;
      const count = (counts.get(kind) ?? 0) + 1;
      counts.set(kind, count);
      const { language, code } = open;
      const place = `${path}:${open.line}`;
      found.push({ place, name: `${kind} ${count}`, language, code: code.join("\n") });
      open = undefined;
    } else if (fence !== undefined) {
      open = { language: fence, line: at + 2, code: [] };
    } else {
      heading = /^#+ (.*)/.exec(line)?.[1] ?? heading;
    }
  }
  if (open !== undefined) throw new Error(`${path}:${open.line}: the snippet has no end`);
  return found;
}

export interface Link {
  /** As it stands there, without the anchor; "" for a link within the document. */
  readonly target: string;
  /** What follows "#", or undefined. */
  readonly anchor: string | undefined;
}

/** Relative links of a document, those within it too. */
export function linksOf({ text }: Document): Link[] {
  return [...text.matchAll(/\]\(([^)\s#]*)(?:#([^)\s]*))?\)/g)]
    .map(([, target = "", anchor]) => ({ target, anchor }))
    .filter(({ target }) => !target.includes("://"));
}

/** The anchors of a document's headings, as GitHub and npm derive them. */
export function anchorsOf({ text }: Document): string[] {
  const prose = text.replaceAll(/^```[^]*?^```$/gm, "");
  return [...prose.matchAll(/^#+ (.*)$/gm)].map(([, heading = ""]) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\s_-]/gu, "")
      .trim()
      .replaceAll(/\s/g, "-"),
  );
}

/** The npm scripts that a document names, also inside lines of text. */
export function scriptsOf({ text }: Document): string[] {
  const named = [...text.matchAll(/\bnpm run ([\w:-]+)/g)].map(([, name = ""]) => name);
  const short = [...text.matchAll(/\bnpm (start|test)\b/g)].map(([, name = ""]) => name);
  return [...new Set([...named, ...short])];
}

/** Files of the project that a document names; those of src also by room and name. */
export function filesOf({ text }: Document): string[] {
  const rooms = readdirSync(join(projectDirectory, "src")).filter((name) => !name.includes("."));
  const folders = ["test", "infra", "functions", "src", "bench", "docs", "scripts", ...rooms];
  const names = new RegExp(
    `(?<![\\w./-])((?:${folders.join("|")})/[\\w./-]+\\.(?:sh|ts|mjs|yaml|md))\\b`,
    "g",
  );
  return [...new Set([...text.matchAll(names)].map(([, path = ""]) => path))];
}
