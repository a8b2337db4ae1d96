export function bundleWithRollup(
  input: string,
  files: readonly { readonly file: string; readonly format: "es" | "cjs" }[],
): Promise<string[]>;

export function bundleWithWebpack(options: {
  readonly context: string;
  readonly entry: string;
  readonly output: { readonly path: string; readonly filename: string };
  readonly esModules: boolean;
}): Promise<string[]>;
