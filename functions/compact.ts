/** Compacts the store on a schedule, so that reads stay cheap however much is written. */
import { createCompactor } from "opslog-serverless/lambda";

export const handler = createCompactor({
  location: process.env["OPSLOG_LOCATION"],
  // How many invocations at once may work off a long backlog.
  parallel: Number(process.env["OPSLOG_PARALLEL"] || 1),
  // For CloudWatch; they are useless where the function runs locally.
  metrics: process.env["AWS_LAMBDA_FUNCTION_NAME"] !== undefined,
});
