import type { FunctionArgs, SchemaArgs } from "@pulumi/postgresql";
import type { Unwrap } from "@pulumi/pulumi";
import { Client, escapeIdentifier } from "pg";
import { type FakeProvider, type FakeProviders, onlyInputs, type Wanted } from "./provider";

type DatabaseFunction = Unwrap<FunctionArgs>;

const schema: FakeProvider<Unwrap<SchemaArgs>> = {
  async make(wanted) {
    onlyInputs(wanted, ["name", "database", "owner", "dropCascade", "ifNotExists"]);
    const { name = wanted.name, owner } = wanted.inputs;
    const ownedBy = owner === undefined ? "" : ` AUTHORIZATION ${escapeIdentifier(owner)}`;
    await execute(wanted, `CREATE SCHEMA IF NOT EXISTS ${escapeIdentifier(name)}${ownedBy}`);
    return { id: name, outputs: { name } };
  },
  async remove(made) {
    const cascade = made.inputs.dropCascade ? " CASCADE" : "";
    await execute(made, `DROP SCHEMA IF EXISTS ${escapeIdentifier(made.id)}${cascade}`);
  },
};

const databaseFunction: FakeProvider<DatabaseFunction> = {
  async make(wanted) {
    onlyInputs(wanted, [
      ...["name", "schema", "database", "args", "returns", "language", "body", "dropCascade"],
      ...["securityDefiner", "strict", "volatility", "parallel"],
    ]);
    const inputs = wanted.inputs;
    const args = (inputs.args ?? []).map(
      ({ mode, name, type }) => `${mode ?? "IN"} ${escapeIdentifier(name ?? "")} ${type}`,
    );
    await execute(
      wanted,
      `CREATE OR REPLACE FUNCTION ${qualified(wanted)}(${args.join(", ")})
       RETURNS ${inputs.returns ?? "void"} LANGUAGE ${inputs.language ?? "plpgsql"}
       ${inputs.volatility ?? "VOLATILE"} PARALLEL ${inputs.parallel ?? "UNSAFE"}
       ${inputs.strict ? "STRICT" : ""} ${inputs.securityDefiner ? "SECURITY DEFINER" : ""}
       AS $immich_ml_demo$${inputs.body}$immich_ml_demo$`,
    );
    return { id: `${qualified(wanted)}(${argumentTypes(inputs)})`, outputs: {} };
  },
  async remove(made) {
    await execute(made, `DROP FUNCTION IF EXISTS ${made.id}`);
  },
};

export const postgresqlProviders: FakeProviders = {
  "postgresql:index/schema:Schema": schema,
  "postgresql:index/function:Function": databaseFunction,
};

async function execute(wanted: Wanted<object>, sql: string): Promise<void> {
  const provider = wanted.provider as Record<string, string | undefined>;
  const { database = provider["database"] } = wanted.inputs as { database?: string };
  const encrypted = (provider["sslmode"] ?? "disable") !== "disable";
  const client = new Client({
    host: provider["host"],
    port: Number(provider["port"] ?? 5432),
    user: provider["username"],
    password: provider["password"],
    database,
    ssl: encrypted ? { rejectUnauthorized: false } : false,
  });
  await client.connect();
  try {
    await client.query(sql);
  } finally {
    await client.end();
  }
}

function argumentTypes(inputs: DatabaseFunction): string {
  return (inputs.args ?? []).map(({ type }) => type).join();
}

function qualified({ name, inputs }: Wanted<DatabaseFunction>): string {
  return `${escapeIdentifier(inputs.schema ?? "public")}.${escapeIdentifier(inputs.name ?? name)}`;
}
