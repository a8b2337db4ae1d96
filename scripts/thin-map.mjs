/**
 * Declaration maps with one mapping a line: that of the name which the line declares. It is what an
 * editor looks for, and a tenth of what the compiler writes.
 */
const DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const MODIFIERS =
  /^\s*(?:(?:export|declare|default|abstract|class|interface|type|const|function|static|readonly|get|set|protected)\s+)*/;

/**
 * @param {string} mappings of a source map of one source
 * @param {string} text the file that it maps
 */
export function thinMappings(mappings, text) {
  const lines = text.split("\n");
  /** Source, line and column there run through all segments: as read, and as written. */
  const read = [0, 0, 0];
  const written = [0, 0, 0];
  const thin = mappings.split(";").map((line, at) => {
    const nameColumn = MODIFIERS.exec(lines[at] ?? "")?.[0].length ?? 0;
    let column = 0;
    let kept;
    for (const segment of line === "" ? [] : line.split(",")) {
      const [columns, ...moved] = decode(segment);
      column += columns;
      for (const [field, by] of moved.slice(0, 3).entries()) read[field] += by;
      if (kept === undefined || column <= nameColumn) kept = { column, place: [...read] };
    }
    if (kept === undefined) return "";
    const moved = kept.place.map((value, field) => value - written[field]);
    written.splice(0, 3, ...kept.place);
    return encode([kept.column, ...moved]);
  });
  return thin.join(";").replace(/;+$/, "");
}

/** Base 64 VLQ, as source maps have it: 5 bits a digit, the lowest first; the sign is the lowest bit. */
function decode(segment) {
  const values = [];
  let value = 0;
  let shift = 0;
  for (const digit of segment) {
    const bits = DIGITS.indexOf(digit);
    value += (bits & 31) * 2 ** shift;
    shift += 5;
    if (bits & 32) continue;
    values.push(value % 2 === 1 ? -(value - 1) / 2 : value / 2);
    [value, shift] = [0, 0];
  }
  return values;
}

function encode(values) {
  let text = "";
  for (const value of values) {
    let rest = value < 0 ? -2 * value + 1 : 2 * value;
    do {
      const bits = rest % 32;
      rest = Math.floor(rest / 32);
      text += DIGITS[rest > 0 ? bits + 32 : bits];
    } while (rest > 0);
  }
  return text;
}
