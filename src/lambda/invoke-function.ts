/** Lambda's Invoke, asynchronously: the one request to Lambda that the package sends. */
import { describeValue } from "../core/describe.ts";
import { AccessDeniedError, InvalidArgumentError, UnavailableError } from "../core/errors.ts";
import { isBytes } from "../core/realm.ts";
import type { Runtime } from "../core/runtime.ts";
import {
  credentialsOfEnvironment,
  regionOfEnvironment,
  variantOfEnvironment,
} from "../s3/light/environment.ts";
import { type HttpAnswer, HttpClient } from "../s3/light/http-client.ts";
import { RequestError } from "../s3/requests/errors.ts";
import { encodeKey, sign } from "../s3/light/sigv4.ts";
import { endpointOfEnvironment } from "../s3/requests/endpoint.ts";
import { Deadline } from "../storage/deadline.ts";

/** A caller waits for it; the schedule starts the compactor all the same. */
const INVOKE_MS_MAX = 3_000;
const ACCEPTED = 202;
/** A name, or an ARN, with or without a version or alias. */
const FUNCTION_NAME = /^[\w:$-]+$/;

/**
 * Hands an event to a function, and does not wait for what it does with it. Region and credentials
 * are those of the environment, as Lambda sets them.
 * @param name name or ARN of the function
 * @throws InvalidArgumentError, AccessDeniedError, UnavailableError
 */
export async function invokeFunction(
  name: string | undefined,
  event: object,
  runtime: Runtime,
): Promise<void> {
  if (name === undefined || !FUNCTION_NAME.test(name)) {
    throw new InvalidArgumentError(
      "the name of the compactor's function is missing: expected the option functionName, or the " +
        `environment variable OPSLOG_COMPACTOR, found ${describeValue(name)}`,
    );
  }
  const http = new HttpClient({ runtime, connectTimeoutMs: INVOKE_MS_MAX, maxSockets: 1 });
  const untilMs = runtime.steadyMs() + INVOKE_MS_MAX;
  const deadline = new Deadline(runtime, () => untilMs - runtime.steadyMs());
  try {
    const answer = await http.send(requestFor(name, event, runtime), deadline.signal);
    if (answer.status !== ACCEPTED) throw await refusal(name, answer);
  } catch (error) {
    if (error instanceof AccessDeniedError || error instanceof InvalidArgumentError) throw error;
    const why = deadline.hasPassed ? `no answer within ${INVOKE_MS_MAX} ms` : String(error);
    const message = `the function ${name} was not started: ${why}`;
    // Of a request: it could not be signed.
    if (error instanceof RequestError) throw new AccessDeniedError(message, { cause: error });
    throw new UnavailableError(message, { cause: error });
  } finally {
    deadline.stop();
    http.close();
  }
}

function requestFor(name: string, event: object, runtime: Runtime) {
  const region = regionOfEnvironment();
  if (region === undefined) throw new InvalidArgumentError("AWS_REGION is not set");
  const origin = new URL(endpointOfEnvironment("LAMBDA") ?? `https://${hostIn(region)}`);
  const target = `/2015-03-31/functions/${encodeKey(name)}/invocations`;
  const body = Buffer.from(JSON.stringify(event));
  const headers = {
    "content-type": "application/json",
    host: origin.host,
    "x-amz-invocation-type": "Event",
  };
  const signable = { method: "POST", path: encodeKey(target), query: {}, headers, body };
  const credentials = credentialsOfEnvironment();
  const signed = sign(signable, credentials, region, runtime.nowMs(), "lambda");
  const all = { ...signed, "content-length": String(body.length) };
  return { method: "POST", origin, target, headers: all, body };
}

/** "AWS Lambda endpoints and quotas", AWS General Reference. */
function hostIn(region: string): string {
  const { fips, dualStack } = variantOfEnvironment();
  const china = region.startsWith("cn-") ? ".cn" : "";
  const domain = dualStack
    ? `api.${china ? "amazonwebservices.com.cn" : "aws"}`
    : `amazonaws.com${china}`;
  return `lambda${fips ? "-fips" : ""}.${region}.${domain}`;
}

async function refusal(name: string, { status, body }: HttpAnswer): Promise<Error> {
  const parts: Uint8Array[] = [];
  for await (const part of body as AsyncIterable<unknown>) if (isBytes(part)) parts.push(part);
  const message = `Lambda answered ${status}: ${Buffer.concat(parts).toString().slice(0, 500)}`;
  return status === 403
    ? new AccessDeniedError(`the function ${name} may not be started: ${message}`)
    : new Error(message);
}
