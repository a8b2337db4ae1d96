/** Where requests go instead of AWS: the value of an option or of the environment, checked. */
import { InvalidArgumentError } from "../../core/errors.ts";

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
 * @param service as the AWS SDK names its variable; it is read first
 * @throws InvalidArgumentError as `checkEndpoint`
 */
export function endpointOfEnvironment(service = "S3"): string | undefined {
  if (process.env["AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"] === "true") return undefined;
  const names = [`AWS_ENDPOINT_URL_${service}`, "AWS_ENDPOINT_URL"];
  const name = names.find((variable) => process.env[variable]);
  return name === undefined ? undefined : checkEndpoint(process.env[name] ?? "", name);
}
