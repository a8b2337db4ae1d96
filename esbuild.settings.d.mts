import type { BuildOptions, Plugin } from "esbuild";

export const lazyHttp: Plugin;
export const settings: BuildOptions & { readonly plugins: Plugin[] };
