import * as docker from "@pulumi/docker";
import * as postgresql from "@pulumi/postgresql";
import * as pulumi from "@pulumi/pulumi";

import type { Settings } from "./settings";

/**
 * One Docker provider per endpoint, whichever hosts share it: every explicit provider is a process of
 * its own beside the engine.
 */
export function dockerProviders(settings: Settings): ReadonlyMap<string, docker.Provider> {
  const endpoints = new Set(settings.hosts.map((host) => host.dockerHost));
  return new Map(
    [...endpoints].map((endpoint) => [
      endpoint,
      new docker.Provider(`docker-${endpointName(endpoint)}`, { host: endpoint }),
    ]),
  );
}

/** The connection by which the schema, the functions and the role in Immich's database are made. */
export function databaseProvider(
  settings: Settings,
  address: { readonly host: string; readonly port: number },
): postgresql.Provider {
  const { name, user, sslMode } = settings.immich.database!;
  return new postgresql.Provider("immich-database", {
    host: address.host,
    port: address.port,
    database: name,
    username: user,
    password: pulumi.secret(settings.secrets.databasePassword!),
    // The provider's own default asks for TLS, which Immich's PostgreSQL does not speak.
    sslmode: sslMode,
    // Without a superuser the provider must not ask for what only one may see.
    superuser: false,
    connectTimeout: 15,
  });
}

/** `unix:///var/run/docker.sock` is `local`, `ssh://me@gpu-box:22` is `gpu-box-22`. */
function endpointName(endpoint: string): string {
  if (endpoint === "unix:///var/run/docker.sock") return "local";
  return endpoint
    .replace(/^[a-z]+:\/\//, "")
    .replace(/^[^@/]*@/, "")
    .replace(/[^A-Za-z0-9]+/g, "-")
    .replace(/^-|-$/g, "");
}
