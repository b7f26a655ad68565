import { systemConfigKeys } from "../catalog/systemConfigKeys";
import { run } from "../util/run";
import { log, runCommandProgram, savedState } from "./commandProgram";
import { dropFunctions } from "./databaseStore";
import { fromEnvironment } from "./environment";
import { applySettings, restoreSettings, type Declared, type SavedState } from "./reconcile";
import { restartServers, serverFrom } from "./serverContainer";
import type { Settings } from "./settings";
import { storeFrom } from "./storeVariables";

/*
 * The program of the command `preset-settings`: sets Immich's settings, and on delete restores the
 * previous ones. Its variables: the settings by key, `immich.version`, `immich.embeddings`, `store.*`,
 * `server.*`; `immich.observed` only makes Pulumi update the command.
 */

const timeout = 900;

runCommandProgram<SavedState>(timeout, async (action, saved) => {
  const declared = await declaredSettings();
  if (action === "delete") {
    await remove(declared, saved);
    return undefined;
  }
  return apply(declared, saved ?? savedState<SavedState>(process.env["immich.firstRelease"]));
});

async function apply(declared: Declared, saved: SavedState | undefined): Promise<SavedState> {
  const { store } = declared;
  const database = store.kind === "database" ? store.database : undefined;
  const before = saved?.database ?? database;
  if (saved && store.kind === "database" && before !== undefined && before !== database) {
    log(`Immich's database is no longer ${before}: restoring the previous settings there first`);
    await restore({ ...declared, store: { ...store, database: before } }, saved);
    return apply(declared, undefined);
  }
  if (store.kind === "api" && before !== undefined) {
    log(`schema immich_ml is left in database ${before}; drop it: DROP SCHEMA immich_ml CASCADE`);
  }
  const isMoved = store.kind === "api" && before !== undefined;
  const { state, notes } = await applySettings({ ...declared, announce: isMoved }, saved);
  notes.forEach(log);
  return database === undefined ? state : { ...state, database };
}

async function remove(declared: Declared, saved: SavedState | undefined): Promise<void> {
  if (saved === undefined) throw new Error("the saved state of the previous settings is missing");
  try {
    await restore(declared, saved, async () => {
      const server = serverFrom(fromEnvironment("server"));
      if (server) await restartServers(server, { whenMissing: "ignore" }, log, run);
    });
  } catch (error) {
    throw new Error(
      `Immich's previous settings could not be restored: ${(error as Error).message}. ` +
        "When that is fixed, run it again; to give the previous values up instead, remove the resource " +
        "from the state: pulumi state delete --force (its URN is shown by pulumi stack --show-urns)",
    );
  }
}

async function restore(
  declared: Declared,
  saved: SavedState,
  thenRestart: () => Promise<void> = () => Promise.resolve(),
): Promise<void> {
  const { notes, needsRestart } = await restoreSettings(declared, saved);
  notes.forEach(log);
  if (declared.store.kind !== "database") return;
  if (needsRestart) await thenRestart();
  await dropFunctions(declared.store);
}

async function declaredSettings(): Promise<Declared> {
  const { version, embeddings, onDestroy = "keepModel", defaults } = fromEnvironment("immich");
  const settings = Object.fromEntries(
    systemConfigKeys.flatMap(({ key }) => {
      const text = process.env[key];
      return text === undefined ? [] : [[key, JSON.parse(text) as Settings[string]]];
    }),
  );
  return {
    settings,
    immichVersion: version!,
    embeddings: embeddings as Declared["embeddings"],
    onDestroy: onDestroy as Declared["onDestroy"],
    ...(defaults !== undefined && { defaults: JSON.parse(defaults) as Settings }),
    store: await storeFrom(fromEnvironment("store")),
  };
}
