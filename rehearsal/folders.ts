import path from "node:path";

/** The root of this repository. */
export const repositoryFolder = path.join(__dirname, "..");

/** Everything a rehearsal leaves on disk; git ignores it. */
export const rehearsalFolder = path.join(repositoryFolder, ".rehearsal");
