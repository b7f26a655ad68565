/** Docker's log drivers that keep files, which Docker rotates by the same options. */
export const fileLogDrivers: readonly string[] = ["json-file", "local"];
