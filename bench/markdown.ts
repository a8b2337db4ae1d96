/** Tables in Markdown. Pure. */
export type Cell = string | number;

export function markdownTable(
  head: readonly string[],
  rows: readonly (readonly Cell[])[],
  leftColumns = 0,
): string {
  const line = (cells: readonly Cell[]): string => `| ${cells.join(" | ")} |\n`;
  const rule = head.map((_, at) => (at < leftColumns ? "---" : "--:"));
  return line(head) + line(rule) + rows.map(line).join("");
}

export function whole(value: number): string {
  return Math.round(value).toLocaleString("en");
}
