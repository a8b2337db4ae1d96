import { directoryMedium } from "./media.ts";
import { storeSuite } from "./store-suite.ts";

storeSuite("a directory", directoryMedium);
