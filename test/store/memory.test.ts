import { memoryMedium } from "./media.ts";
import { storeSuite } from "./store-suite.ts";

storeSuite("memory", memoryMedium);
