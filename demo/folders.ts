import path from "node:path";

/** The root of this repository. */
export const repositoryFolder = path.join(__dirname, "..");

/** All that the demo and the tests keep on disk; git ignores it. */
export const cacheFolder = path.join(repositoryFolder, ".demo");
