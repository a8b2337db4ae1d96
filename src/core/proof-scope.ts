/** What a proof of preconditions is valid for: the server that answers, the client that sends. */
export interface ProofScope {
  /** URL of the server, without the bucket; "" where that is unknown. */
  readonly endpoint: string;
  /** The bucket, or what stands for it on another medium. */
  readonly bucket: string;
  /** Name and version of what sends the requests. */
  readonly client: string;
}

/** How many a manifest keeps. */
const SCOPES_MAX = 8;

/** The same server and bucket, for any client: each client checks that its conditions are sent. */
export function coversServer(proven: readonly ProofScope[], scope: ProofScope): boolean {
  const { endpoint, bucket } = scope;
  return (
    endpoint !== "" && proven.some((one) => one.endpoint === endpoint && one.bucket === bucket)
  );
}

/** The same client, too. */
export function covers(proven: readonly ProofScope[], scope: ProofScope): boolean {
  const { client } = scope;
  return coversServer(
    proven.filter((one) => one.client === client),
    scope,
  );
}

/** With one more, for the oldest where there are many. */
export function withProof(proven: readonly ProofScope[], scope: ProofScope): readonly ProofScope[] {
  if (scope.endpoint === "" || covers(proven, scope)) return proven;
  return [...proven, scope].slice(-SCOPES_MAX);
}
