/** What this package needs of a Lambda context; the `Context` of @types/aws-lambda is one. */
export interface LambdaContext {
  /** Names the invocation; the agent that its writes are recorded under. */
  readonly awsRequestId: string;
  /** How long the invocation may still run, in ms. */
  getRemainingTimeInMillis(): number;
}
