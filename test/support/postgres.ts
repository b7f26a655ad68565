import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { startPostgres, type StartedPostgres } from "../../demo/postgres";

/**
 * An empty PostgreSQL on a free port; the caller must `remove()` it. `demo/immichDatabase` creates
 * databases like Immich's in it.
 */
export async function startTestPostgres(): Promise<StartedPostgres> {
  return startPostgres({ folder: await mkdtemp(path.join(tmpdir(), "immich-ml-test-postgres-")) });
}
