import type { ContainerArgs, NetworkArgs, RemoteImageArgs, VolumeArgs } from "@pulumi/docker";
import type { Unwrap } from "@pulumi/pulumi";
import Docker from "dockerode";
import type { Say } from "../progress";
import { buildContext } from "./buildContext";
import { type FakeProvider, type FakeProviders, onlyInputs, type Wanted } from "./provider";

type Container = Unwrap<ContainerArgs>;
type Build = NonNullable<Unwrap<RemoteImageArgs>["build"]>;

const image: FakeProvider<Unwrap<RemoteImageArgs>> = {
  async make(wanted, say) {
    onlyInputs(wanted, ["name", "build", "triggers", "keepLocally"]);
    const { name, build } = wanted.inputs;
    const docker = engineOf(wanted);
    if (build === undefined) await pull(docker, name, say);
    else await buildImage(docker, wanted.name, name, build, say);
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

const network: FakeProvider<Unwrap<NetworkArgs>> = {
  async make(wanted) {
    onlyInputs(wanted, ["name", "driver", "labels"]);
    const { name = wanted.name, driver, labels } = wanted.inputs;
    const Driver = driver ?? "bridge";
    const created = await engineOf(wanted).createNetwork({
      Name: name,
      Driver,
      Labels: byName(labels),
    });
    return { id: created.id, outputs: { name } };
  },
  async remove(made) {
    await unlessGone(engineOf(made).getNetwork(made.id).remove());
  },
};

const container: FakeProvider<Container> = {
  async make(wanted) {
    const created = await engineOf(wanted).createContainer(containerOf(wanted));
    try {
      await created.start();
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
  "docker:index/network:Network": network,
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

async function pull(docker: Docker, name: string, say: Say): Promise<void> {
  const stream = await docker.pull(name);
  await new Promise<void>((resolve, reject) => {
    docker.modem.followProgress(
      stream,
      (error) => (error ? reject(error) : resolve()),
      (event: { status?: string; id?: string }) => say(`${event.status ?? ""} ${event.id ?? ""}`),
    );
  });
}

/** BuildKit, since the Dockerfile's cache mounts need it; the engine brings it, no client has to. */
async function buildImage(docker: Docker, resource: string, tag: string, build: Build, say: Say) {
  const part = { type: "build", name: resource, inputs: build, provider: {} };
  onlyInputs(part, ["context", "dockerfile", "buildArgs", "target", "labels"]);
  const dockerfile = build.dockerfile ?? "Dockerfile";
  const stream = await docker.buildImage(await buildContext(build.context, dockerfile), {
    t: tag,
    version: "2",
    dockerfile,
    buildargs: build.buildArgs ?? {},
    labels: build.labels === undefined ? {} : byName(build.labels),
    ...(build.target !== undefined && { target: build.target }),
  });
  const lines: string[] = [];
  let failure: string | undefined;
  const { followProgress } = docker as unknown as { followProgress: FollowProgress };
  await new Promise<void>((resolve, reject) => {
    followProgress(
      stream,
      (error) => {
        if (error) reject(error);
        else if (failure !== undefined)
          reject(new Error([...lines.slice(-30), failure].join("\n")));
        else resolve();
      },
      (event) => {
        if (event.error !== undefined) failure = event.error;
        for (const line of readable(event.stream ?? "")) {
          lines.push(line);
          say(line);
        }
      },
    );
  });
}

/** Decodes BuildKit's messages; not yet in the package's types. */
type FollowProgress = (
  this: void,
  stream: NodeJS.ReadableStream,
  onFinished: (error: Error | null) => void,
  onProgress: (event: { stream?: string; error?: string }) => void,
) => void;

/** BuildKit's steps come as text, what a step prints comes in base64. */
function readable(text: string): string[] {
  const encoded = text.trim();
  const isEncoded = /^[A-Za-z0-9+/]+={0,2}$/.test(encoded) && encoded.length % 4 === 0;
  const decoded = isEncoded ? Buffer.from(encoded, "base64").toString() : text;
  return decoded.split(/[\r\n]+/).filter((line) => line.trim() !== "");
}

const containerInputs = [
  ...["name", "image", "envs", "labels", "command", "entrypoints", "user", "healthcheck"],
  ...["networksAdvanced", "ports", "volumes", "mounts", "devices", "deviceRequests"],
  ...["deviceCgroupRules", "groupAdds", "securityOpts", "capabilities", "readOnly", "tmpfs"],
  ...["logDriver", "logOpts", "memory", "memorySwap", "cpus", "restart"],
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
    Labels: byName(inputs.labels),
    ExposedPorts: Object.fromEntries(ports.map((port) => [portName(port), {}])),
    ...(inputs.name !== undefined && { name: inputs.name }),
    ...(inputs.command && { Cmd: inputs.command }),
    ...(inputs.entrypoints && { Entrypoint: inputs.entrypoints }),
    ...(inputs.user !== undefined && { User: inputs.user }),
    ...(inputs.healthcheck && { Healthcheck: healthcheckOf(inputs.healthcheck) }),
    ...(joined && {
      NetworkingConfig: { EndpointsConfig: { [joined.name]: { Aliases: joined.aliases ?? [] } } },
    }),
    HostConfig: {
      Binds: (inputs.volumes ?? []).map(bindOf),
      Mounts: (inputs.mounts ?? []).map((mount) => ({
        Type: mount.type as Docker.MountType,
        Source: mount.source ?? "",
        Target: mount.target,
        ReadOnly: mount.readOnly ?? false,
      })),
      Devices: (inputs.devices ?? []).map((device) => ({
        PathOnHost: device.hostPath,
        PathInContainer: device.containerPath ?? device.hostPath,
        CgroupPermissions: device.permissions ?? "rwm",
      })),
      DeviceRequests: (inputs.deviceRequests ?? []).map((request) => ({
        Driver: request.driver ?? "",
        Count: request.count ?? 0,
        DeviceIDs: request.deviceIds ?? [],
        Capabilities: [request.capabilities ?? []],
      })),
      DeviceCgroupRules: inputs.deviceCgroupRules ?? [],
      GroupAdd: inputs.groupAdds ?? [],
      SecurityOpt: inputs.securityOpts ?? [],
      CapAdd: inputs.capabilities?.adds ?? [],
      CapDrop: inputs.capabilities?.drops ?? [],
      ReadonlyRootfs: inputs.readOnly ?? false,
      Tmpfs: inputs.tmpfs ?? {},
      ...(inputs.logDriver !== undefined && {
        LogConfig: { Type: inputs.logDriver, Config: inputs.logOpts ?? {} },
      }),
      Memory: bytes(inputs.memory),
      MemorySwap: bytes(inputs.memorySwap),
      NanoCpus: Math.round(Number(inputs.cpus ?? 0) * 1e9),
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

/** Reads durations as Go writes them: `10m0s`, `500ms`. */
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

/** Somebody else may have removed it already. */
async function unlessGone(removal: Promise<unknown>): Promise<void> {
  try {
    await removal;
  } catch (error) {
    if ((error as { statusCode?: number }).statusCode !== 404) throw error;
  }
}
