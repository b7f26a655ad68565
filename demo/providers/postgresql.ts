import type { FunctionArgs, GrantArgs, RoleArgs, SchemaArgs } from "@pulumi/postgresql";
import type { Unwrap } from "@pulumi/pulumi";
import { Client, escapeIdentifier, escapeLiteral } from "pg";
import { type FakeProvider, type FakeProviders, onlyInputs, type Wanted } from "./provider";

type DatabaseFunction = Unwrap<FunctionArgs>;
type Grant = Unwrap<GrantArgs>;

const role: FakeProvider<Unwrap<RoleArgs>> = {
  async make(wanted) {
    onlyInputs(wanted, ["name", "login", "password", "connectionLimit"]);
    const { name = wanted.name, login, password, connectionLimit } = wanted.inputs;
    const options = [
      login ? "LOGIN" : "NOLOGIN",
      password === undefined ? "" : `PASSWORD ${escapeLiteral(password)}`,
      `CONNECTION LIMIT ${connectionLimit ?? -1}`,
    ];
    await execute(wanted, `CREATE ROLE ${escapeIdentifier(name)} ${options.join(" ")}`);
    return { id: name, outputs: { name } };
  },
  async remove(made) {
    await execute(made, `DROP OWNED BY ${escapeIdentifier(made.id)}`);
    await execute(made, `DROP ROLE ${escapeIdentifier(made.id)}`);
  },
};

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
    await execute(made, `DROP SCHEMA ${escapeIdentifier(made.id)}${cascade}`);
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
    await execute(made, `DROP FUNCTION ${made.id}`);
  },
};

const grant: FakeProvider<Grant> = {
  async make(wanted) {
    onlyInputs(wanted, ["database", "role", "schema", "objectType", "objects", "privileges"]);
    const { privileges } = wanted.inputs;
    const target = grantTarget(wanted.inputs);
    // What a grant does not name is taken away, as the provider does it.
    await execute(wanted, `REVOKE ALL ON ${target} FROM ${grantee(wanted.inputs)}`);
    if (privileges.length > 0)
      await execute(wanted, `GRANT ${privileges.join()} ON ${target} TO ${grantee(wanted.inputs)}`);
    return { id: `${wanted.inputs.role} on ${target}`, outputs: {} };
  },
  async remove(made) {
    const target = grantTarget(made.inputs);
    await execute(made, `REVOKE ALL ON ${target} FROM ${grantee(made.inputs)}`);
  },
};

export const postgresqlProviders: FakeProviders = {
  "postgresql:index/role:Role": role,
  "postgresql:index/schema:Schema": schema,
  "postgresql:index/function:Function": databaseFunction,
  "postgresql:index/grant:Grant": grant,
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

function grantee({ role: name }: Grant): string {
  return name === "public" ? "PUBLIC" : escapeIdentifier(name);
}

function grantTarget(inputs: Grant): string {
  const inSchema = escapeIdentifier(inputs.schema ?? "public");
  const objects = (inputs.objects ?? []).map((object) =>
    object.includes("(") ? `${inSchema}.${object}` : `${inSchema}.${escapeIdentifier(object)}`,
  );
  const all = `S IN SCHEMA ${inSchema}`;
  switch (inputs.objectType) {
    case "database":
      return `DATABASE ${escapeIdentifier(inputs.database)}`;
    case "schema":
      return `SCHEMA ${inSchema}`;
    case "function":
      return objects.length > 0 ? `FUNCTION ${objects.join()}` : `ALL FUNCTION${all}`;
    case "table":
      return objects.length > 0 ? `TABLE ${objects.join()}` : `ALL TABLE${all}`;
    default:
      throw new Error(`without a Pulumi engine no rights can be granted on a ${inputs.objectType}`);
  }
}

function argumentTypes(inputs: DatabaseFunction): string {
  return (inputs.args ?? []).map(({ type }) => type).join();
}

function qualified({ name, inputs }: Wanted<DatabaseFunction>): string {
  return `${escapeIdentifier(inputs.schema ?? "public")}.${escapeIdentifier(inputs.name ?? name)}`;
}
