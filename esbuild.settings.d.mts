import type { BuildOptions, Plugin } from "esbuild";

/** Asks the process for builtin modules instead of importing them: saves loading undici. */
export const lazyBuiltins: Plugin;
/** Takes credentials from the environment only, as Lambda sets them: a fifth of the AWS SDK less. */
export const environmentCredentials: Plugin;
/** A `require` for ES modules, which the AWS SDK's CommonJS files need: `--banner:js=`. */
export const requireBanner: string;
/** Minified ES modules for Node 20 and later, with both plugins and the banner. */
export const settings: BuildOptions & { readonly plugins: Plugin[] };
