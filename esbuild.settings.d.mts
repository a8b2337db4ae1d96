import type { BuildOptions, Plugin } from "esbuild";

export const lazyBuiltins: Plugin;
export const environmentCredentials: Plugin;
export const settings: BuildOptions & { readonly plugins: Plugin[] };
