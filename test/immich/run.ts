import { spawnSync } from "node:child_process";
import { parseArgs } from "node:util";

/*
 * npm run test:immich [-- --source DIR] [--schema]: this program against Immich's real server, in every
 * release at hand. --schema only prints what differs between our tables and the releases.
 */
const { values } = parseArgs({
  options: { source: { type: "string" }, schema: { type: "boolean", default: false } },
});
const { status } = spawnSync(
  process.execPath,
  [
    "node_modules/vitest/vitest.mjs",
    "run",
    "--project",
    "immich",
    ...(values.schema ? ["schema"] : []),
  ],
  {
    stdio: "inherit",
    env: {
      ...process.env,
      IMMICH_ALL: "1",
      IMMICH_PULL: "1",
      ...(values.source !== undefined && { IMMICH_SOURCE: values.source }),
    },
  },
);
process.exit(status ?? 1);
