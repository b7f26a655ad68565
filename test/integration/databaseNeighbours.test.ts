import type { Client } from "pg";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";

import { probeDatabase } from "../../immich/databaseProbe";
import { readDatabase, writeDatabase } from "../../immich/databaseStore";
import type { DatabaseStoreArgs } from "../../immich/store";
import { createImmichDatabase, type ImmichDatabaseOptions } from "../../demo/immichDatabase";
import type { PostgresServer } from "../../demo/postgres";
import { connect, createFunctions } from "../support/databaseFunctions";
import { startTestPostgres } from "../support/postgres";
import { installedPostgres, startInstalledPostgres } from "../support/systemPostgres";

/*
 * Another role of the same database plants objects whose code would run as the superuser who connects.
 * Whatever runs of it ends the statement with "planted: ran as …".
 */

const version = { major: 2, minor: 7, patch: 5 };
const oldVersion = { major: 1, minor: 105, patch: 1 };
const clipModel = "machineLearning.clip.modelName";

const servers = [
  { name: "embedded PostgreSQL", start: startTestPostgres },
  ...installedPostgres().map((installed) => ({
    name: installed.name,
    start: () => startInstalledPostgres(installed),
  })),
];

describe.each(servers)("$name", ({ start }) => {
  let server: PostgresServer;
  let admin: Client;
  let mallory: Client;
  let store: DatabaseStoreArgs;

  beforeAll(async () => {
    server = await start();
    const postgres = await connect(server, "postgres");
    await postgres.query("CREATE ROLE mallory LOGIN PASSWORD 'x'");
    await postgres.end();
    const { host, port, user, password } = server;
    const account = { host, port, user, password };
    store = { kind: "database", ...account, database: "immich", sslMode: "disable" };
  });

  beforeEach(() => restart());

  afterAll(async () => {
    await admin?.end();
    await mallory?.end();
    await server?.remove();
  });

  /** A new database, in which the neighbour has made functions that everybody may call. */
  async function restart(options: ImmichDatabaseOptions = {}): Promise<void> {
    await admin?.end();
    await mallory?.end();
    await createImmichDatabase(server, options);
    await createFunctions(server, "immich");
    admin = await connect(server, "immich");
    // The default up to PostgreSQL 14, which an upgraded database keeps.
    if (!(await everybodyMayCreate())) await admin.query("GRANT CREATE ON SCHEMA public TO PUBLIC");
    mallory = await connect(server, "immich", { user: "mallory", password: "x" });
    await mallory.query(`
      CREATE FUNCTION public.planted() RETURNS boolean LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION 'planted: ran as %', current_user; END $$;
      CREATE FUNCTION public.planted_trigger() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION 'planted: ran as %', current_user; END $$;
      CREATE FUNCTION public.planted_equal(varchar, varchar) RETURNS boolean LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION 'planted: ran as %', current_user; END $$;`);
  }

  async function everybodyMayCreate(): Promise<boolean> {
    const { rows } = await admin.query<{ may: boolean }>(
      "SELECT has_schema_privilege('mallory', 'public', 'CREATE') AS may",
    );
    return rows[0]!.may;
  }

  const planted = (name: string, columns: string) =>
    mallory.query(`CREATE VIEW public.${name} AS SELECT ${columns} WHERE public.planted();
      GRANT ALL ON public.${name} TO PUBLIC`);
  const model = (value: string) => [{ key: clipModel, value: JSON.stringify(value) }];
  const write = (of = version) =>
    writeDatabase(store, model("RN101__openai"), {
      version: of,
      embeddings: "clear",
      dropEmptyRow: false,
    });
  const outcome = (work: Promise<unknown>) =>
    work.then(
      (value) => JSON.stringify(value),
      (error: Error) => error.message,
    );

  test("what is planted does run where it is touched", async () => {
    await planted("system_config", "'a'::varchar AS key, 'b'::varchar AS value");
    await expect(admin.query("SELECT FROM public.system_config")).rejects.toThrow(
      "planted: ran as postgres",
    );
  });

  test("a view in place of Immich's old table is not read", async () => {
    await planted("system_config", "'a'::varchar AS key, 'b'::varchar AS value");
    expect(await probeDatabase(store)).toMatchObject({ ok: true, kind: "system_metadata" });
    expect((await readDatabase(store, version)).values).toHaveProperty([clipModel]);
    expect(await write()).toMatchObject({ clearedEmbeddings: 3 });
  });

  test.each([
    ["a view", () => planted("system_config", "'a'::varchar AS key, 'b'::varchar AS value")],
    [
      "a table with a trigger",
      () =>
        mallory.query(`CREATE TABLE public.system_config (key varchar PRIMARY KEY, value varchar);
          CREATE TRIGGER planted BEFORE INSERT OR DELETE ON public.system_config
            FOR EACH STATEMENT EXECUTE FUNCTION public.planted_trigger();
          GRANT ALL ON public.system_config TO PUBLIC`),
    ],
  ])("%s in place of the only table is refused", async (_name, plant) => {
    await admin.query("DROP TABLE system_metadata");
    await plant();
    const refusal = "public.system_config";
    expect(await outcome(probeDatabase(store))).toContain(`${refusal} in database`);
    expect(await outcome(readDatabase(store, oldVersion))).toContain(`${refusal} is not touched`);
    expect(await outcome(write(oldVersion))).toContain(`${refusal} is not touched`);
  });

  test("a configuration planted before Immich's first start is refused", async () => {
    await admin.query("DROP TABLE system_metadata");
    await planted("system_metadata", "'system-config'::varchar AS key, '{}'::jsonb AS value");
    expect(await outcome(probeDatabase(store))).toContain("public.system_metadata in database");
    expect(await outcome(readDatabase(store, version))).toContain("system_metadata is not touched");
    expect(await outcome(write())).toContain("system_metadata is not touched");
  });

  test("embeddings of another role are not deleted", async () => {
    await admin.query("DROP TABLE smart_search");
    await mallory.query(`CREATE TABLE public.smart_search (id int);
      CREATE TRIGGER planted BEFORE DELETE ON public.smart_search
        FOR EACH STATEMENT EXECUTE FUNCTION public.planted_trigger();
      GRANT ALL ON public.smart_search TO PUBLIC`);
    expect(await outcome(probeDatabase(store))).toContain("public.smart_search in database");
    expect(await outcome(write())).toContain("public.smart_search is not touched");
  });

  test("a history of releases of another role is not read", async () => {
    await admin.query("DROP TABLE version_history");
    await planted("version_history", `now() AS "createdAt", 'v9.9.9'::varchar AS version`);
    expect(await probeDatabase(store)).toMatchObject({ ok: true, immichVersion: undefined });
  });

  test("an operator in public is not used, whatever the caller's search_path", async () => {
    await mallory.query(`CREATE OPERATOR public.= (LEFTARG = varchar, RIGHTARG = varchar,
      FUNCTION = public.planted_equal)`);
    await expect(
      admin.query("SELECT FROM system_metadata WHERE key = 'system-config'"),
    ).rejects.toThrow("planted: ran as postgres");
    for (const path of ["public", "public, pg_catalog"]) {
      await admin.query(`SET search_path = ${path}`);
      await admin.query("SELECT immich_ml.read_settings('system_metadata')");
    }
    expect(await outcome(probeDatabase(store))).toContain('an operator or function \\"=\\"');
    expect(await write()).toMatchObject({ clearedEmbeddings: 3 });
  });

  // @pulumi/postgresql looks its names up in public, too: these stand in its queries.
  test.each([
    [
      "=",
      "FUNCTION public.hijacked(oid, regprocedure) RETURNS boolean",
      "CREATE OPERATOR public.= (LEFTARG = oid, RIGHTARG = regprocedure, FUNCTION = public.hijacked)",
    ],
    ["pg_get_functiondef", "FUNCTION public.pg_get_functiondef(regproc) RETURNS text", ""],
  ])("%s in public, which the provider would use, stops preview", async (name, code, operator) => {
    await mallory.query(`CREATE ${code} LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION 'planted: ran as %', current_user; END $$;
      ${operator}`);
    await expect(
      admin.query(
        `SELECT pg_get_functiondef(p.oid::regproc) FROM pg_proc p
         WHERE p.oid = to_regprocedure('immich_ml.read_settings(text)')`,
      ),
    ).rejects.toThrow("planted: ran as postgres");
    expect(await outcome(probeDatabase(store))).toContain(
      `another user has made an operator or function \\"${name}\\"`,
    );
  });

  test("functions in a schema of another role are not called", async () => {
    await admin.query("DROP SCHEMA immich_ml CASCADE; GRANT CREATE ON DATABASE immich TO mallory");
    await mallory.query(`CREATE SCHEMA immich_ml; GRANT ALL ON SCHEMA immich_ml TO PUBLIC;
      CREATE FUNCTION immich_ml.read_settings(store text) RETURNS jsonb LANGUAGE sql
        AS 'SELECT to_jsonb(public.planted())';
      CREATE FUNCTION immich_ml.write_settings(store text, changes jsonb, options jsonb)
        RETURNS jsonb LANGUAGE sql AS 'SELECT to_jsonb(public.planted())'`);
    const refusal = 'schema immich_ml belongs to user "mallory"';
    expect(await outcome(probeDatabase(store))).toContain(JSON.stringify(refusal).slice(1, -1));
    expect(await outcome(readDatabase(store, version))).toContain(refusal);
    expect(await outcome(write())).toContain(refusal);
  });

  test("a superuser accepts what belongs to Immich's own role", async () => {
    await restart({ owner: "immich" });
    expect(await probeDatabase(store)).toMatchObject({ ok: true });
    expect(await write()).toMatchObject({ clearedEmbeddings: 3 });
  });
});
