import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { startPostgres, type StartedPostgres } from "../../demo/postgres";

/**
 * An empty PostgreSQL on a free port, with nothing kept from a run before. Whoever starts it calls
 * `remove()`. Databases that look like Immich's come from `demo/immichDatabase`.
 */
export async function startTestPostgres(): Promise<StartedPostgres> {
  return startPostgres({ folder: await mkdtemp(path.join(tmpdir(), "immich-ml-test-postgres-")) });
}
