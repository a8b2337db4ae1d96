/** A function whose role may write to its own log group, and nothing else until it is granted. */
import { type Duration, RemovalPolicy } from "aws-cdk-lib";
import { Role, ServicePrincipal } from "aws-cdk-lib/aws-iam";
import { Architecture, type Code, Function, Runtime } from "aws-cdk-lib/aws-lambda";
import { LogGroup, type RetentionDays } from "aws-cdk-lib/aws-logs";
import { Construct } from "constructs";

export interface LoggedFunctionProps {
  readonly description: string;
  readonly code: Code;
  readonly handler: string;
  readonly memoryMb: number;
  readonly timeout: Duration;
  /** Where the store lies; the function reads it from OPSLOG_LOCATION. */
  readonly location: string;
  /** Further variables. Default: none. */
  readonly environment?: Readonly<Record<string, string>>;
  readonly logRetention: RetentionDays;
  /** Default: as many as the account allows. */
  readonly concurrencyMax?: number | undefined;
}

export class LoggedFunction extends Construct {
  readonly function: Function;
  readonly role: Role;
  readonly logGroup: LogGroup;

  constructor(scope: Construct, id: string, props: LoggedFunctionProps) {
    super(scope, id);
    this.logGroup = new LogGroup(this, "Logs", {
      retention: props.logRetention,
      removalPolicy: RemovalPolicy.DESTROY,
    });
    this.role = new Role(this, "Role", { assumedBy: new ServicePrincipal("lambda.amazonaws.com") });
    // Instead of the managed policy, which admits every log group of the account.
    this.logGroup.grantWrite(this.role);
    const { concurrencyMax } = props;
    this.function = new Function(this, "Function", {
      description: props.description,
      code: props.code,
      handler: props.handler,
      runtime: Runtime.NODEJS_24_X,
      architecture: Architecture.ARM_64,
      memorySize: props.memoryMb,
      timeout: props.timeout,
      role: this.role,
      logGroup: this.logGroup,
      environment: { OPSLOG_LOCATION: props.location, ...props.environment },
      ...(concurrencyMax === undefined ? {} : { reservedConcurrentExecutions: concurrencyMax }),
    });
  }
}
