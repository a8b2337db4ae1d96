/** Lines on log-log axes as an SVG that can be read in light and in dark mode. Pure. */
import { maxOf, minOf } from "../../src/core/bulk.ts";

export interface Series {
  readonly name: string;
  /** Both above zero. */
  readonly points: readonly (readonly [x: number, y: number])[];
}

export interface Plot {
  readonly title: string;
  readonly xLabel: string;
  readonly yLabel: string;
  /** Of a value on the vertical axis. */
  readonly format: (y: number) => string;
  readonly series: readonly Series[];
}

const WIDTH = 640;
const HEIGHT = 400;
const FRAME = { left: 84, right: 600, top: 52, bottom: 330 };
const STYLE = `
  text { font: 13px system-ui, sans-serif; fill: #1f2328; }
  .title { font-size: 15px; font-weight: 600; }
  .grid { stroke: #d1d9e0; }
  .line { fill: none; stroke-width: 2.5; }
  .s0 { stroke: #0969da; } .p0 { fill: #0969da; }
  .s1 { stroke: #bc4c00; stroke-dasharray: 7 4; } .p1 { fill: #bc4c00; }
  @media (prefers-color-scheme: dark) {
    text { fill: #f0f6fc; }
    .grid { stroke: #3d444d; }
    .s0 { stroke: #58a6ff; } .p0 { fill: #58a6ff; }
    .s1 { stroke: #f0883e; } .p1 { fill: #f0883e; }
  }
`;

export function escapeXml(content: string): string {
  const entities: Readonly<Record<string, string>> = {
    "&": "&amp;",
    "<": "&lt;",
    ">": "&gt;",
    '"': "&quot;",
    "'": "&apos;",
  };
  return content.replace(/[&<>"']/g, (character) => entities[character] ?? character);
}

/** The powers of ten that enclose the values. */
export function decades(values: readonly number[]): number[] {
  const first = Math.floor(Math.log10(minOf(values)));
  const last = Math.max(first + 1, Math.ceil(Math.log10(maxOf(values))));
  return Array.from({ length: last - first + 1 }, (_, at) => first + at);
}

export function toSvg({ title, xLabel, yLabel, format, series }: Plot): string {
  const points = series.flatMap((each) => each.points);
  const xs = decades(points.map(([x]) => x));
  const ys = decades(points.map(([, y]) => y));
  const x = scale(xs, FRAME.left, FRAME.right);
  const y = scale(ys, FRAME.bottom, FRAME.top);
  const middle = (FRAME.left + FRAME.right) / 2;
  const parts = [
    text(title, FRAME.left, 28, 'class="title"'),
    ...xs.map((exponent) => {
      const at = x(10 ** exponent);
      const label = (10 ** exponent).toLocaleString("en");
      return (
        line(at, FRAME.top, at, FRAME.bottom) +
        text(label, at, FRAME.bottom + 20, 'text-anchor="middle"')
      );
    }),
    ...ys.map((exponent) => {
      const at = y(10 ** exponent);
      return (
        line(FRAME.left, at, FRAME.right, at) +
        text(format(10 ** exponent), FRAME.left - 8, at + 4, 'text-anchor="end"')
      );
    }),
    text(xLabel, middle, FRAME.bottom + 42, 'text-anchor="middle"'),
    text(yLabel, 0, 0, 'text-anchor="middle" transform="translate(18 191) rotate(-90)"'),
    ...series.map((each, at) => drawSeries(each, at, x, y)),
    ...series.map(({ name }, at) => {
      const left = FRAME.left + at * 270;
      return (
        line(left, HEIGHT - 10, left + 34, HEIGHT - 10, `line s${at}`) +
        text(name, left + 42, HEIGHT - 6)
      );
    }),
  ];
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img">`,
    `<title>${escapeXml(title)}</title><style>${STYLE}</style>`,
    ...parts,
    "</svg>\n",
  ].join("\n");
}

type Scale = (value: number) => number;

function scale(exponents: readonly number[], from: number, to: number): Scale {
  const [first = 0, last = 1] = [exponents[0], exponents.at(-1)];
  return (value) => from + ((Math.log10(value) - first) / (last - first)) * (to - from);
}

function drawSeries({ name, points }: Series, at: number, x: Scale, y: Scale): string {
  const path = points.map(([px, py]) => `${round(x(px))},${round(y(py))}`).join(" ");
  const dots = points.map(
    ([px, py]) => `<circle class="p${at}" cx="${round(x(px))}" cy="${round(y(py))}" r="4"/>`,
  );
  const label = `<title>${escapeXml(name)}</title>`;
  return `<g>${label}<polyline class="line s${at}" points="${path}"/>${dots.join("")}</g>`;
}

function line(x1: number, y1: number, x2: number, y2: number, kind = "grid"): string {
  const [a, b, c, d] = [x1, y1, x2, y2].map(round);
  return `<line class="${kind}" x1="${a}" y1="${b}" x2="${c}" y2="${d}"/>`;
}

function text(content: string, x: number, y: number, attributes = ""): string {
  return `<text x="${round(x)}" y="${round(y)}" ${attributes}>${escapeXml(content)}</text>`;
}

function round(value: number): string {
  return value.toFixed(1);
}
