/** A value as an error message shows it: short; of an object only its kind, it may hold secrets. */
export function describeValue(value: unknown): string {
  switch (typeof value) {
    case "string":
      return JSON.stringify(value.length > 80 ? `${value.slice(0, 80)}…` : value);
    case "bigint":
      return `${value}n`;
    case "function":
      return "a function";
    case "object":
      return value === null ? "null" : Array.isArray(value) ? "an array" : "an object";
    default:
      return String(value);
  }
}

/** C0, DEL, C1; line and paragraph separators; what turns the direction of text. */
const CONTROLS =
  // eslint-disable-next-line no-control-regex -- control characters are what is looked for
  /[\u0000-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;
const URL_CREDENTIALS = /\b(s3|https?):\/\/[^/\s@:]{0,256}:[^/\s@]{0,256}@/gi;
const SIGNED_QUERY = /\b(X-Amz-(?:Signature|Credential|Security-Token)=)[^&\s"'<]+/gi;

/**
 * A message as it may go into a log. Ids and names come from outside: they must not end the line,
 * steer a terminal or turn what follows them; and what opens a door is left out.
 */
export function safeMessage(text: string): string {
  return text
    .replace(URL_CREDENTIALS, "$1://…@")
    .replace(SIGNED_QUERY, "$1…")
    .replace(CONTROLS, (found) => `\\u${found.charCodeAt(0).toString(16).padStart(4, "0")}`);
}
