import { describe, expect, test } from "vitest";
import { formatBytes } from "../../bench/s3/report.ts";
import { decades, escapeXml, toSvg } from "../../bench/s3/svg.ts";

describe("a plot", () => {
  const plot = {
    title: 'bytes < time & "more"',
    xLabel: "records",
    yLabel: "bytes",
    format: formatBytes,
    series: [
      {
        name: "a & b",
        points: [
          [1_000, 1_000],
          [1_000_000, 1_000_000],
        ] as const,
      },
    ],
  };

  test("escapes what is text", () => {
    expect(escapeXml(`<a href="x">'&'</a>`)).toBe(
      "&lt;a href=&quot;x&quot;&gt;&apos;&amp;&apos;&lt;/a&gt;",
    );
    const svg = toSvg(plot);
    expect(svg).toContain("bytes &lt; time &amp; &quot;more&quot;");
    expect(svg).toContain("<title>a &amp; b</title>");
  });

  test("has axes of whole decades that enclose the values", () => {
    expect(decades([1_000, 1_000_000])).toEqual([3, 4, 5, 6]);
    expect(decades([35_000, 2_000])).toEqual([3, 4, 5]);
    expect(decades([100])).toEqual([2, 3]);
  });

  test("draws powers of ten at equal distances, the smallest at the lower left", () => {
    const svg = toSvg(plot);
    expect(svg).toContain('points="84.0,330.0 600.0,52.0"');
    const doubled = {
      ...plot.series[0],
      points: [
        [1_000, 1_000],
        [31_622.7766, 1e6],
      ] as const,
    };
    const other = toSvg({
      ...plot,
      series: [...plot.series, { name: "c", points: doubled.points }],
    });
    expect(other).toContain('points="84.0,330.0 342.0,52.0"');
  });

  test("labels its axes in units, and supports light and dark", () => {
    const svg = toSvg(plot);
    for (const label of ["1 KB", "100 KB", "1 MB", "1,000,000", "records"]) {
      expect(svg).toContain(`>${label}<`);
    }
    expect(svg).toContain("prefers-color-scheme: dark");
  });
});

test("bytes are shown in the unit that suits them", () => {
  expect([10, 1e3, 1e5, 1e6, 1e9].map(formatBytes)).toEqual([
    "10 B",
    "1 KB",
    "100 KB",
    "1 MB",
    "1 GB",
  ]);
});
