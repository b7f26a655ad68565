import * as postgresql from "@pulumi/postgresql";
import * as pulumi from "@pulumi/pulumi";

import { ModelPreset, type ModelPresetArgs } from "../../../components/modelPreset";
import type { ModelSelection } from "../../../immich/modelSelection";

const config = new pulumi.Config();
const host = "127.0.0.1";
const port = config.requireNumber("port");
const database = config.require("database");
const user = config.get("user") ?? "postgres";
const password = config.requireSecret("password");
const url = config.get("url");
const serverContainer = config.get("serverContainer");

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

const store: ModelPresetArgs["store"] =
  url === undefined
    ? {
        kind: "database",
        host,
        port,
        database,
        user,
        password,
      }
    : { kind: "api", url, apiKey: config.requireSecret("apiKey") };

const preset = new ModelPreset(
  "preset",
  {
    immichVersion: config.get("immichVersion") ?? "v2.7.5",
    models: config.requireObject<ModelSelection>("models"),
    urls: config.getObject<string[]>("urls") ?? [],
    store,
    ...(url !== undefined && config.getBoolean("reindex")
      ? { reindex: { url, apiKey: config.requireSecret("apiKey") } }
      : {}),
    embeddings: config.get("embeddings") === "keep" ? "keep" : "clear",
    ...(serverContainer === undefined ? {} : { serverContainer: { name: serverContainer } }),
  },
  { providers: [provider] },
);

export const settings = preset.settings;
export const changed = preset.changed;
export const restart = preset.restart;
