/** `opslog-serverless/cdk`: names only. Needs aws-cdk-lib and constructs. */
export { OpslogStore } from "./opslog-store.ts";
export { type MetricName, METRICS } from "./store-alarms.ts";
export type { AlarmProps, CompactorProps, OpslogStoreProps } from "./store-props.ts";
