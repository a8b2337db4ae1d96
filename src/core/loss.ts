/** What JSON would drop or change in a value without a word, and where in it that is. */

/** Far below what exhausts the stack: a compactor may have less of it left than the writer. */
const DEPTH_MAX = 1_000;
/** What a message shows of a path at most. */
const PATH_SHOWN_MAX = 200;

/** Objects whose content lies outside their properties: JSON makes `{}` of them, or worse. */
const OPAQUE = new Set(
  ["Map", "Set", "WeakMap", "WeakSet", "WeakRef", "RegExp", "Error", "Promise", "Symbol"].concat([
    "ArrayBuffer",
    "SharedArrayBuffer",
    "DataView",
  ]),
);

interface Loss {
  readonly found: string;
  /** Keys that lead to it, innermost first. */
  readonly keys: (string | number)[];
}

/**
 * The first part of a value that its JSON would lose, worded as "found a Map at tags[2].seen";
 * undefined when there is none. Properties that are undefined count for absent, and what has
 * `toJSON` for what that returns; an instance of a class counts for its own properties.
 */
export function findLoss(value: unknown): string | undefined {
  const loss = lossIn(value, 1);
  if (loss === undefined) return undefined;
  return loss.keys.length === 0 ? `found ${loss.found}` : `found ${loss.found} at ${pathOf(loss)}`;
}

function lossIn(value: unknown, depth: number): Loss | undefined {
  switch (typeof value) {
    case "number":
      return Number.isFinite(value) ? undefined : lost(String(value));
    case "function":
    case "symbol":
      return lost(`a ${typeof value}`);
    case "bigint":
      return hasToJson(Object(value)) ? undefined : lost("a bigint");
    case "object":
      return value === null ? undefined : lossInObject(value, depth);
    default:
      return undefined;
  }
}

function lossInObject(value: object, depth: number): Loss | undefined {
  if (hasToJson(value)) return undefined;
  if (depth > DEPTH_MAX) return lost(`more than ${DEPTH_MAX} levels, or a cycle,`);
  if (Array.isArray(value)) return lossInArray(value, depth);
  const children = Object.values(value);
  const opaque = isPlain(value) ? undefined : opaqueKind(value, children.length);
  if (opaque !== undefined) return lost(opaque);
  for (let at = 0; at < children.length; at++) {
    const loss = lossIn(children[at], depth + 1);
    if (loss !== undefined) return within(Object.keys(value)[at] ?? "", loss);
  }
  return undefined;
}

function lossInArray(values: readonly unknown[], depth: number): Loss | undefined {
  for (let at = 0; at < values.length; at++) {
    const loss = lossIn(values[at], depth + 1);
    if (loss !== undefined) return within(at, loss);
  }
  return undefined;
}

function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

/**
 * Recognised by the kind that the language assigns to an object, which is the same in every realm; a class may
 * name a kind of its own, then only one without properties has nothing that could be stored.
 */
function opaqueKind(value: object, properties: number): string | undefined {
  const kind = Object.prototype.toString.call(value).slice("[object ".length, -1);
  if (kind === "Number" && !Number.isFinite(Number(value))) return `${Number(value)}`;
  if (OPAQUE.has(kind) || ArrayBuffer.isView(value)) return withArticle(kind);
  if (["Object", "Number", "String", "Boolean"].includes(kind)) return undefined;
  return properties === 0 ? withArticle(kind) : undefined;
}

function hasToJson(value: object): boolean {
  return "toJSON" in value && typeof value.toJSON === "function";
}

function withArticle(kind: string): string {
  return /^[AEIO]/.test(kind) ? `an ${kind}` : `a ${kind}`;
}

function lost(found: string): Loss {
  return { found, keys: [] };
}

function within(key: string | number, loss: Loss): Loss {
  loss.keys.push(key);
  return loss;
}

function pathOf({ keys }: Loss): string {
  const steps = keys.toReversed().map((key, at) => {
    if (typeof key === "number") return `[${key}]`;
    if (!/^[A-Za-z_$][\w$]*$/.test(key)) return `[${JSON.stringify(key)}]`;
    return at === 0 ? key : `.${key}`;
  });
  const path = steps.join("");
  return path.length > PATH_SHOWN_MAX ? `${path.slice(0, PATH_SHOWN_MAX)}…` : path;
}
