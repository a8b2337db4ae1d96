/** Where requests go instead of AWS: the value of an option or of the environment, checked. */
import { InvalidArgumentError } from "../../core/errors.ts";

/** As the AWS SDK reads them, the first one first. */
const VARIABLES = ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"] as const;

/**
 * @param source the option or variable, for the message
 * @throws InvalidArgumentError for what is no http or https URL, such as "localhost:9000"
 */
export function checkEndpoint(text: string, source: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const isHttp = url?.protocol === "http:" || url?.protocol === "https:";
  if (isHttp && url.hostname !== "") return text;
  const found = JSON.stringify(text.replace(/\/\/[^/@]*@/, "//…@"));
  throw new InvalidArgumentError(
    `${source} must be a URL such as "http://127.0.0.1:9000", with http:// or https:// in front; found ${found}`,
  );
}

/**
 * What is used instead of AWS if no option is set; the SDK reads these itself.
 * @throws InvalidArgumentError as `checkEndpoint`
 */
export function endpointOfEnvironment(): string | undefined {
  if (process.env["AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"] === "true") return undefined;
  const name = VARIABLES.find((variable) => process.env[variable]);
  return name === undefined ? undefined : checkEndpoint(process.env[name] ?? "", name);
}
