import type { ContainerArgs, RemoteImageArgs, VolumeArgs } from "@pulumi/docker";
import type { Unwrap } from "@pulumi/pulumi";
import Docker from "dockerode";
import { BuildFailed, buildImage } from "../buildImage";
import type { Log } from "../progress";
import { type FakeProvider, type FakeProviders, onlyInputs, type Wanted } from "./provider";

type Container = Unwrap<ContainerArgs>;
type Build = NonNullable<Unwrap<RemoteImageArgs>["build"]>;

const image: FakeProvider<Unwrap<RemoteImageArgs>> = {
  async make(wanted, log) {
    onlyInputs(wanted, ["name", "build", "triggers", "keepLocally"]);
    const { name, build } = wanted.inputs;
    const docker = engineOf(wanted);
    if (build === undefined) await pull(docker, name, log);
    else await buildDeclared(docker, wanted.name, name, build, log);
    const { Id: imageId, RepoDigests: digests } = await docker.getImage(name).inspect();
    return { id: imageId, outputs: { imageId, repoDigest: digests?.[0] ?? "" } };
  },
  async remove(made) {
    if (made.inputs.keepLocally) return;
    await unlessGone(engineOf(made).getImage(made.inputs.name).remove());
  },
};

const volume: FakeProvider<Unwrap<VolumeArgs>> = {
  async make(wanted) {
    onlyInputs(wanted, ["name", "driver", "driverOpts", "labels"]);
    const { name = wanted.name, driver, driverOpts, labels } = wanted.inputs;
    await engineOf(wanted).createVolume({
      Name: name,
      Driver: driver ?? "local",
      DriverOpts: driverOpts ?? {},
      Labels: byName(labels),
    });
    return { id: name, outputs: { name } };
  },
  async remove(made) {
    await unlessGone(engineOf(made).getVolume(made.id).remove());
  },
};

const container: FakeProvider<Container> = {
  async make(wanted) {
    const created = await engineOf(wanted).createContainer(containerOf(wanted));
    try {
      if (wanted.inputs.start !== false) await created.start();
    } catch (error) {
      await created.remove();
      throw error;
    }
    return { id: created.id, outputs: { name: wanted.inputs.name } };
  },
  async remove(made) {
    await unlessGone(engineOf(made).getContainer(made.id).remove({ force: true, v: false }));
  },
};

export const dockerProviders: FakeProviders = {
  "docker:index/remoteImage:RemoteImage": image,
  "docker:index/volume:Volume": volume,
  "docker:index/container:Container": container,
};

function engineOf({ provider }: Wanted<object>): Docker {
  const host = (provider["host"] as string | undefined) ?? process.env["DOCKER_HOST"];
  if (host === undefined) return new Docker();
  const { protocol, pathname, hostname, port } = new URL(host);
  if (protocol === "unix:") return new Docker({ socketPath: pathname });
  if (protocol === "tcp:") return new Docker({ protocol: "http", host: hostname, port });
  throw new Error(`without a Pulumi engine this demo cannot reach a Docker engine at ${host}`);
}

async function pull(docker: Docker, name: string, log: Log): Promise<void> {
  const stream = await docker.pull(name);
  await new Promise<void>((resolve, reject) => {
    docker.modem.followProgress(
      stream,
      (error) => (error ? reject(error) : resolve()),
      (event: { status?: string; id?: string }) => log(`${event.status ?? ""} ${event.id ?? ""}`),
    );
  });
}

async function buildDeclared(
  docker: Docker,
  resource: string,
  tag: string,
  build: Build,
  log: Log,
): Promise<void> {
  const part = { type: "build", name: resource, inputs: build, provider: {} };
  onlyInputs(part, ["context", "dockerfile", "buildArgs", "target", "labels", "buildLogFile"]);
  const { buildArgs = {}, labels, ...request } = build;
  try {
    await buildImage(docker, { ...request, tag, buildArgs, labels: byName(labels) }, log);
  } catch (error) {
    if (!(error instanceof BuildFailed)) throw error;
    throw new Error([...error.log.split("\n").slice(-30), error.message].join("\n"));
  }
}

/** What the container of a host without accelerator devices may have. */
const containerInputs = [
  ...["name", "start", "mustRun", "image", "envs", "labels", "command", "healthcheck", "restart"],
  ...["networksAdvanced", "ports", "volumes", "securityOpts", "capabilities"],
  ...["logDriver", "logOpts", "memory", "memorySwap", "stopTimeout", "destroyGraceSeconds"],
];

function containerOf(wanted: Wanted<Container>): Docker.ContainerCreateOptions {
  onlyInputs(wanted, containerInputs);
  const inputs = wanted.inputs;
  const ports = inputs.ports ?? [];
  const [joined, ...others] = inputs.networksAdvanced ?? [];
  if (others.length > 0)
    throw new Error(`${wanted.name}: without a Pulumi engine only one network can be joined`);
  return {
    Image: inputs.image,
    Env: inputs.envs ?? [],
    ...(inputs.stopTimeout !== undefined && { StopTimeout: inputs.stopTimeout }),
    Labels: byName(inputs.labels),
    ExposedPorts: Object.fromEntries(ports.map((port) => [portName(port), {}])),
    ...(inputs.name !== undefined && { name: inputs.name }),
    ...(inputs.command && { Cmd: inputs.command }),
    ...(inputs.healthcheck && { Healthcheck: healthcheckOf(inputs.healthcheck) }),
    ...(joined && {
      NetworkingConfig: { EndpointsConfig: { [joined.name]: { Aliases: joined.aliases ?? [] } } },
    }),
    HostConfig: {
      Binds: (inputs.volumes ?? []).map(bindOf),
      SecurityOpt: inputs.securityOpts ?? [],
      CapAdd: inputs.capabilities?.adds ?? [],
      CapDrop: inputs.capabilities?.drops ?? [],
      ...(inputs.logDriver !== undefined && {
        LogConfig: { Type: inputs.logDriver, Config: inputs.logOpts ?? {} },
      }),
      Memory: bytes(inputs.memory),
      MemorySwap: bytes(inputs.memorySwap),
      RestartPolicy: { Name: inputs.restart ?? "no" },
      PortBindings: Object.fromEntries(
        ports.map((port) => [
          portName(port),
          [{ HostIp: port.ip ?? "", HostPort: String(port.external ?? "") }],
        ]),
      ),
      ...(joined && { NetworkMode: joined.name }),
    },
  };
}

function bindOf(mounted: NonNullable<Container["volumes"]>[number]): string {
  const source = mounted.volumeName ?? mounted.hostPath ?? "";
  return `${source}:${mounted.containerPath ?? ""}${mounted.readOnly ? ":ro" : ""}`;
}

function healthcheckOf(check: NonNullable<Container["healthcheck"]>): Docker.HealthConfig {
  return {
    Test: check.tests,
    Interval: nanoseconds(check.interval),
    Timeout: nanoseconds(check.timeout),
    StartPeriod: nanoseconds(check.startPeriod),
    Retries: check.retries ?? 0,
  };
}

/** Parses a duration as Go prints it, such as `10m0s` or `500ms`. */
function nanoseconds(duration: string | undefined): number {
  const units: Record<string, number> = { h: 3.6e12, m: 6e10, s: 1e9, ms: 1e6 };
  const parts = (duration ?? "0s").matchAll(/([\d.]+)(ms|h|m|s)/g);
  return [...parts].reduce((sum, [, count, unit]) => sum + Number(count) * units[unit!]!, 0);
}

function bytes(mebibytes: number | undefined): number {
  return (mebibytes ?? 0) * 1024 * 1024;
}

function portName(port: NonNullable<Container["ports"]>[number]): string {
  return `${port.internal}/${port.protocol ?? "tcp"}`;
}

function byName(
  labels: { label: string; value: string }[] | Record<string, string> | undefined,
): Record<string, string> {
  if (!Array.isArray(labels)) return labels ?? {};
  return Object.fromEntries(labels.map(({ label, value }) => [label, value]));
}

/** It may have been removed by hand. */
async function unlessGone(removal: Promise<unknown>): Promise<void> {
  try {
    await removal;
  } catch (error) {
    if ((error as { statusCode?: number }).statusCode !== 404) throw error;
  }
}
