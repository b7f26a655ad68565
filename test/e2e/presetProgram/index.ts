import * as postgresql from "@pulumi/postgresql";
import * as pulumi from "@pulumi/pulumi";

import { stateOfFirstRelease } from "../../../components/firstRelease";
import { ModelPreset, type ModelPresetArgs } from "../../../components/modelPreset";
import { locateDatabase } from "../../../immich/databaseAddress";
import { probeApi, probeDatabase } from "../../../immich/databaseProbe";
import type { ModelSelection } from "../../../immich/modelSelection";
import { run } from "../../../util/run";

/** The preset alone; it reads Immich first, as the preflight does. */
export = async () => {
  const config = new pulumi.Config();
  const url = config.get("url");
  const access = url === undefined ? await byDatabase(config) : await byApi(config, url);
  const serverContainer = config.get("serverContainer");
  const { settings, changed, restart } = new ModelPreset(
    "preset",
    {
      immichVersion: config.get("immichVersion") ?? "v2.7.5",
      models: config.requireObject<ModelSelection>("models"),
      urls: config.getObject<string[]>("urls") ?? [],
      ...access.args,
      firstRelease: await stateOfFirstRelease("preset"),
      embeddings: config.get("embeddings") === "keep" ? "keep" : "clear",
      onDestroy: config.get("onDestroy") === "keepModel" ? "keepModel" : "restoreModel",
      ...(serverContainer && { serverContainer: { name: serverContainer } }),
    },
    { providers: access.providers },
  );
  return { settings, changed, restart };
};

interface Access {
  readonly args: Pick<ModelPresetArgs, "store" | "currentSettings" | "reindex">;
  readonly providers: pulumi.ProviderResource[];
}

async function byApi(config: pulumi.Config, url: string): Promise<Access> {
  const apiKey = config.requireSecret("apiKey");
  const probe = await probeApi({ url, apiKey: await valueOf(apiKey) });
  return {
    args: {
      store: { kind: "api", url, apiKey },
      currentSettings: probe.ok ? probe.settings : undefined,
      reindex: config.getBoolean("reindex") ? { url, apiKey } : undefined,
    },
    providers: [],
  };
}

async function byDatabase(config: pulumi.Config): Promise<Access> {
  const container = config.get("container");
  const database = config.require("database");
  const user = config.get("user") ?? "postgres";
  const password = config.requireSecret("password");
  const port = config.requireNumber("port");
  const dockerHost = "unix:///var/run/docker.sock";
  const location =
    container === undefined
      ? ({ ok: true, value: { host: "127.0.0.1", port } } as const)
      : await locateDatabase({ name: container, port, dockerHost }, run);
  if (!location.ok) throw new Error(location.message);
  const { host } = location.value;
  const probe = await probeDatabase({
    ...{ host, port, database, user, password: await valueOf(password) },
    sslMode: "disable",
  });
  const place = container === undefined ? { host } : { container: { name: container } };
  const provider = new postgresql.Provider("database", {
    host,
    port,
    database,
    username: user,
    password,
    sslmode: "disable",
    superuser: user === "postgres",
    connectTimeout: 10,
  });
  return {
    args: {
      store: { kind: "database", ...place, port, database, user, password },
      currentSettings: probe.ok ? probe.settings : undefined,
    },
    providers: [provider],
  };
}

function valueOf<Value>(output: pulumi.Output<Value>): Promise<Value> {
  return new Promise((resolve) => output.apply(resolve));
}
