import type Docker from "dockerode";
import { expect } from "vitest";

import { systemConfigKeys } from "../../catalog/systemConfigKeys";
import { defaultOf, immichVersionOf, settingOf } from "../../immich/settings";
import type { ImmichDatabase } from "../../demo/immichDatabase";
import type { EngineStack } from "./engineStack";

/** The inputs of a container that are compared with the running one. */
interface DeclaredContainer {
  readonly name: string;
  readonly image: string;
  /** Encrypted where one of them is a secret. */
  readonly envs: readonly string[] | { readonly ciphertext: string };
  readonly restart: string;
  readonly securityOpts: readonly string[];
  readonly capabilities?: { readonly drops: readonly string[] };
  readonly volumes: readonly { readonly containerPath: string; readonly volumeName: string }[];
  readonly ports?: readonly {
    readonly internal: number;
    readonly external: number;
    readonly ip: string;
  }[];
  readonly labels: readonly { readonly label: string; readonly value: string }[];
}

interface StoredResource {
  readonly urn: string;
  readonly type: string;
  readonly inputs?: object;
}

/**
 * Fails unless a refreshed preview is empty and what runs equals what is declared, according to Docker
 * and to Immich's row rather than to the engine's state.
 */
export async function expectDeclaredToRun(
  stack: Pick<EngineStack, "name" | "preview" | "readState">,
  running: { readonly docker: Docker; readonly database?: ImmichDatabase },
): Promise<void> {
  expect((await stack.preview({ refresh: true })).steps).toEqual([]);

  const state = JSON.parse(await stack.readState()) as {
    checkpoint: {
      latest: { resources?: StoredResource[]; pending_operations?: unknown[] };
    };
  };
  const { resources = [], pending_operations: pending = [] } = state.checkpoint.latest;
  expect(pending).toEqual([]);
  // The check names the container once it serves.
  const nameOf = (urn: string) => {
    const check = resources.find((resource) =>
      resource.urn.endsWith(`::${urn.split("::").at(-1)}-check`),
    );
    return (check!.inputs as { environment: Record<string, string> }).environment[
      "IMMICH_ML_NAME"
    ]!;
  };
  const containers = resources
    .filter(({ type }) => type === "docker:index/container:Container")
    .map(({ urn, inputs }) => ({ ...(inputs as DeclaredContainer), name: nameOf(urn) }));
  for (const declared of containers) await expectToRun(running.docker, declared);
  const label = `org.immich-ml.stack=${stack.name}`;
  const found = await running.docker.listContainers({ all: true, filters: { label: [label] } });
  expect(found.flatMap(({ Names }) => Names).sort()).toEqual(
    containers.map(({ name }) => `/${name}`).sort(),
  );

  if (!running.database) return;
  const settings = resources.find(({ urn }) => urn.endsWith("::preset-settings"));
  const { environment } = settings!.inputs as { environment: Record<string, string> };
  const declared = Object.fromEntries(
    systemConfigKeys.flatMap(({ key }) => {
      const text = environment[key];
      return text === undefined ? [] : [[key, JSON.parse(text) as unknown]];
    }),
  );
  expect(declared).not.toEqual({});
  const stored = JSON.parse((await running.database.configurationText()) ?? "{}") as object;
  const version = immichVersionOf(environment["immich.version"]!);
  const inForce = Object.keys(declared).map((key) => [
    key,
    settingOf(stored, key) ?? defaultOf(key, version),
  ]);
  expect(Object.fromEntries(inForce)).toEqual(declared);
}

async function expectToRun(docker: Docker, declared: DeclaredContainer): Promise<void> {
  const running = await docker.getContainer(declared.name).inspect();
  expect(running.State.Running).toBe(true);
  expect(running.Image).toBe(declared.image);
  if (!("ciphertext" in declared.envs)) {
    expect(running.Config.Env).toEqual(expect.arrayContaining([...declared.envs]));
  }
  expect(running.Config.Labels).toMatchObject(
    Object.fromEntries(declared.labels.map(({ label, value }) => [label, value])),
  );
  expect(running.HostConfig.RestartPolicy?.Name).toBe(declared.restart);
  expect(running.HostConfig.SecurityOpt).toEqual(declared.securityOpts);
  expect(running.HostConfig.CapDrop ?? []).toEqual(declared.capabilities?.drops ?? []);
  expect(running.HostConfig.Privileged).toBe(false);
  expect(running.Mounts.map(({ Name, Destination }) => [Destination, Name])).toEqual(
    declared.volumes.map(({ containerPath, volumeName }) => [containerPath, volumeName]),
  );
  const bindings = running.HostConfig.PortBindings as Record<
    string,
    { HostIp: string; HostPort: string }[]
  > | null;
  expect(bindings ?? {}).toEqual(
    Object.fromEntries(
      (declared.ports ?? []).map(({ internal, external, ip }) => [
        `${internal}/tcp`,
        [{ HostIp: ip, HostPort: String(external) }],
      ]),
    ),
  );
}
