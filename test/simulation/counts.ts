/** How often each kind of event happened: a simulation that checks nothing proves nothing. */
export function createCounts() {
  return {
    acked: 0,
    /** Of these: by claims. */
    guarded: 0,
    /** Of these: over several lanes. */
    transactions: 0,
    /** Transactions that some order explains. */
    serialized: 0,
    failed: 0,
    unknown: 0,
    views: 0,
    /** Openings that took one look at the manifest, and two. */
    fastViews: 0,
    twoStepViews: 0,
    /** Objects that hold the flushes of several stores. */
    sharedFlushes: 0,
    /** Openings on a look of another store. */
    sharedLooks: 0,
    exact: 0,
    /** On directories: frames appended, appends cut short, and what failed. */
    frames: 0,
    tornAppends: 0,
    noSpace: 0,
    syncFailures: 0,
    powerCuts: 0,
    replacedFiles: 0,
    callsFailed: 0,
    /** What happened to requests, and to processes. */
    refused: 0,
    lost: 0,
    answersLost: 0,
    duplicates: 0,
    lateDuplicates: 0,
    stuck: 0,
    frozenWrites: 0,
    /** Of `src/s3` over simulated HTTP: errors of what was done, and answers that end early. */
    errorAnswers: 0,
    errorBodies: 0,
    resets: 0,
    brokenBodies: 0,
    stalledBodies: 0,
    partialDeletes: 0,
    frozenLooks: 0,
    stalledPages: 0,
    straddledLists: 0,
    partedLists: 0,
    conflicts: 0,
    deaths: 0,
    freezes: 0,
    clockJumps: 0,
    /** Runs in which processes have priorities (priorities.ts). */
    scheduledByPriority: 0,
    /** Worlds by what their clocks do (clocks.ts). */
    anyClocks: 0,
    rightClocks: 0,
    wrongWalls: 0,
    suspended: 0,
    paused: 0,
    frontEnds: 0,
    hourAhead: 0,
    year2099: 0,
    steppedBack: 0,
    year1970: 0,
    fastMedium: 0,
    oldPrograms: 0,
    /** Turns of programs that write what another has just written, and writes of a dragged store. */
    turns: 0,
    dragged: 0,
    /** Batches whose clocks run ahead of their medium, and later writes that are below one for that alone. */
    bulkBatches: 0,
    outrun: 0,
    /** Calls that the checker of histories found an order for (../histories). */
    explained: 0,
    /** Freezes in which clocks stood still. */
    stoppedClocks: 0,
    /** Scans, looks of followers, and undos that were judged. */
    scans: 0,
    followed: 0,
    /** Of followers without records in memory; and how often they had to begin anew. */
    followedLazily: 0,
    followersExpired: 0,
    undone: 0,
    /** Snapshots with what followed them that were judged, and those that a purge ended (S3). */
    streams: 0,
    streamsPurged: 0,
    /** Records given to `migrate`, and those that were too new for a program. */
    migrated: 0,
    tooNew: 0,
    /** Stores of the original, and those that were upgraded in a run. */
    founded: 0,
    upgraded: 0,
    published: 0,
    /** Publications with catalogues. */
    catalogued: 0,
    /** Passes that published more than once, and those that their time was too short for. */
    portions: 0,
    /** Passes for a part of the log, and of the units, that published; segments merged by several. */
    logTasks: 0,
    unitTasks: 0,
    mergedTwice: 0,
    cutShort: 0,
    purges: 0,
    /** Segments that landed below the purge floor, and those that would bring a record back. */
    ghosts: 0,
    ghostsOfDeleted: 0,
    /** Calls of `archive` that moved something, and the records they moved. */
    archives: 0,
    archived: 0,
    /** Calls of `once`: functions that ran, results, results of others, refusals, results not kept. */
    onceRuns: 0,
    onceResults: 0,
    onceRepeated: 0,
    onceInProgress: 0,
    onceLost: 0,
    /** How often the objects showed a tombstone in the place of what had ended. */
    onceEnded: 0,
  };
}
