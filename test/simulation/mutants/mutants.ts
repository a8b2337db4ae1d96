/** Every mechanism that is switched off, one at a time. */
import { ARCHIVE_MUTANTS } from "./archive-mutants.ts";
import { CONDITION_MUTANTS } from "./condition-mutants.ts";
import { CATALOGUE_MUTANTS } from "./catalogue-mutants.ts";
import { CLOCK_MUTANTS } from "./clock-mutants.ts";
import { COMPACTION_MUTANTS } from "./compaction-mutants.ts";
import { FILE_MUTANTS } from "./file-mutants.ts";
import { GUARD_MUTANTS } from "./guard-mutants.ts";
import { LANE_MUTANTS } from "./lane-mutants.ts";
import { LEVEL_MUTANTS } from "./level-mutants.ts";
import type { Mutant } from "./mutant.ts";
import { ONCE_MUTANTS } from "./once-mutants.ts";
import { OTHER_MUTANTS } from "./other-mutants.ts";
import { S3_MUTANTS } from "./s3-mutants.ts";
import { SHARING_MUTANTS } from "./sharing-mutants.ts";
import { TASK_MUTANTS } from "./task-mutants.ts";
import { TRANSACTION_MUTANTS } from "./transaction-mutants.ts";
import { VIEW_MUTANTS } from "./view-mutants.ts";
import { FOLLOW_MUTANTS } from "./follow-mutants.ts";
import { WRITE_MUTANTS } from "./write-mutants.ts";

export const MUTANTS: readonly Mutant[] = [
  ...VIEW_MUTANTS,
  ...WRITE_MUTANTS,
  ...FOLLOW_MUTANTS,
  ...COMPACTION_MUTANTS,
  ...LEVEL_MUTANTS,
  ...CATALOGUE_MUTANTS,
  ...TASK_MUTANTS,
  ...GUARD_MUTANTS,
  ...ONCE_MUTANTS,
  ...LANE_MUTANTS,
  ...TRANSACTION_MUTANTS,
  ...ARCHIVE_MUTANTS,
  ...FILE_MUTANTS,
  ...OTHER_MUTANTS,
  ...S3_MUTANTS,
  ...SHARING_MUTANTS,
  ...CONDITION_MUTANTS,
  ...CLOCK_MUTANTS,
];
