import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { detectGpus, preflight } from "../../preflight";
import { run, type Run } from "../../util/run";
import { DockerClient } from "../../util/docker";
import { probeHost } from "../../preflight/hostProbe";
import type { HostSettings, Settings } from "../../config/load";
import {
  missingPrivateEngine,
  type PrivateEngine,
  startPrivateEngine,
} from "../support/privateEngine";
import { type SshServer, startSshServer } from "../support/sshServer";

const compose = "immich-ml-test-compose";
const ours = "immich-ml-test-ours";
const network = "immich-ml-test-preflight";

/** What nvidia-smi of a driver too old for compute_cap does. */
const oldNvidiaSmi = `case $* in
  *compute_cap*) echo 'Field "compute_cap" is not a valid field to query.'; echo; exit 2 ;;
  *) echo "0, GPU-8e5e22a2-43f2-1f6d-52f6-0d3bb5e0a5f4, GeForce GTX 750 Ti, 450.119.03, 2002" ;;
esac`;

describe.skipIf(missingPrivateEngine)("the preflight of real engines", () => {
  let engine: PrivateEngine;
  let server: SshServer;
  /** Runs programs as the program itself does, with the test's ssh in front. */
  const withSsh: Run = (program, parameters, options) =>
    run(program, parameters, {
      ...options,
      environment: { ...options?.environment, PATH: server.path },
    });

  beforeAll(async () => {
    engine = await startPrivateEngine();
    await engine.docker("network", "create", network);
    const labels = [
      "--label=com.docker.compose.project=immich",
      "--label=com.docker.compose.service=immich-machine-learning",
      "--label=com.docker.compose.project.working_dir=/srv/immich",
    ];
    await engine.docker("create", "--name", compose, ...labels, engine.sleeper);
    const stack = ["--label=org.immich-ml.project=immich-ml", "--label=org.immich-ml.stack=dev"];
    await engine.docker("create", "--name", ours, ...stack, engine.sleeper);
    server = await startSshServer({
      dockerHost: engine.endpoint,
      programs: {
        "nvidia-smi": oldNvidiaSmi,
        "nvidia-ctk": "exit 0",
        "nvidia-container-runtime-hook": "exit 0",
      },
    });
  });

  afterAll(async () => {
    await server?.stop();
    await engine?.stop();
  });

  const host = (more: object) =>
    ({
      name: "attic",
      dockerHost: server.endpoint,
      accelerator: "cuda",
      gpu: { name: "GeForce GTX 750 Ti", computeCapability: "5.0", videoMemory: 2048 },
      image: { kind: "legacy", gpuFamily: "kepler-maxwell" },
      containerName: ours,
      cache: { kind: "volume", volume: "models", keep: true },
      limits: {},
      network,
      ...more,
    }) as unknown as HostSettings;
  const settings = (...hosts: HostSettings[]) =>
    ({ project: "immich-ml", stack: "dev", hosts, preflight: "enforce" }) as unknown as Settings;

  it("finds a host behind ssh ready, and its own container no obstacle", async () => {
    await expect(preflight(settings(host({})), withSsh)).resolves.toMatchObject({
      optionalMounts: { attic: [] },
    });
  });

  it("detects the GPU of gpu: auto behind ssh, though its driver is too old to report the compute capability", async () => {
    const cards = await detectGpus(settings(host({ image: undefined })), withSsh);
    expect(cards).toEqual({
      attic: { name: "GeForce GTX 750 Ti", computeCapability: "5.0", videoMemory: 2002 },
    });
  });

  it("names everything in the way of several hosts at once, and changes nothing", async () => {
    const before = await engine.docker("ps", "--all", "--quiet");
    const hosts = [
      host({ containerName: compose }),
      host({ name: "cellar", network: "immich-ml-test-nowhere", accelerator: "cpu" }),
      host({ name: "shed", dockerHost: "unix:///run/immich-ml-test-nowhere.sock" }),
      host({ name: "barn", dockerHost: server.strangerEndpoint }),
    ];
    const refusal = await preflight(settings(...hosts), withSsh).catch((error: Error) => error);
    const lines = (refusal as Error).message.split("\n").slice(1);
    expect(lines).toEqual([
      expect.stringMatching(
        /^ {2}attic: the container name immich-ml-test-compose is taken by docker compose's service immich-machine-learning\. To hand it over: takeOver: immich-ml-test-compose;/,
      ),
      expect.stringMatching(
        /^ {2}cellar: the network immich-ml-test-nowhere does not exist; there are bridge, immich-ml-test-preflight\./,
      ),
      expect.stringMatching(
        /^ {2}shed: Docker at unix:\/\/\/run\/immich-ml-test-nowhere\.sock does not answer/,
      ),
      expect.stringMatching(
        /^ {2}barn: the ssh key of ssh:\/\/.*@localhost:\d+ \(or of its jump host\) is not known: connect once by hand/,
      ),
    ]);
    expect(await engine.docker("ps", "--all", "--quiet")).toBe(before);
  });

  it("reports that the docker client is not installed", async () => {
    const nowhere: Run = (program, parameters) =>
      run(program, parameters, { environment: { PATH: "/nowhere" } });
    const local = { dockerHost: "unix:///var/run/docker.sock" };
    expect(await new DockerClient(local, nowhere).info()).toMatchObject({
      message: expect.stringContaining("docker command-line client is not installed") as string,
    });
  });

  it("sees the free disk of the engine's folder, and the GPUs of the machine behind ssh", async () => {
    const host = await probeHost({ dockerHost: server.endpoint }, withSsh);
    const machine = host.ok ? host.value.machine : undefined;
    expect(machine).toMatchObject({
      ok: true,
      value: {
        toolkit: ["nvidia-container-runtime-hook", "nvidia-ctk"],
        nvidia: { ok: true },
        freeDisk: expect.any(Number) as number,
      },
    });
  });

  it("reaches a database in a container of the local engine at its address in Immich's network", async () => {
    const name = "immich-ml-test-database";
    await engine.docker("run", "--detach", "--name", name, "--network", network, engine.sleeper);
    const docker = new DockerClient({ dockerHost: engine.endpoint }, run);
    const address = expect.stringMatching(/^10\.213\.\d+\.\d+$/) as string;
    expect(await docker.container(name)).toMatchObject({
      ok: true,
      value: { running: true, addresses: { [network]: address } },
    });
  });
});
