import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";

import { LocalWorkspace } from "@pulumi/pulumi/automation";
import { stringify } from "yaml";

import { isInstalled, run } from "../../demo/shell";
import { findEngine } from "../../demo/withEngine";
import { testName } from "../../test/support/docker";
import { openEngineStack, startEngine } from "../../test/support/engineStack";
import { composeCommand } from "./compose";

/** One of the ways to run the same containers, each with a volume and a health check. */
export interface Fleet {
  /** Runs the containers with this environment. */
  up(modelTtl: number): Promise<unknown>;
  down(): Promise<unknown>;
  remove(): Promise<unknown>;
}

export interface FleetArgs {
  readonly hosts: readonly string[];
  readonly image: string;
  readonly network: string;
}

/** `pulumi up` of this program on the command line, without questions. */
export async function ourFleet({ hosts, image, network }: FleetArgs): Promise<Fleet> {
  const prefix = testName("bench-scale");
  const config = (modelTtl: number) => ({
    immich: { version: "v2.7.5" },
    hosts: hosts.map((name) => ({
      name,
      accelerator: "cpu",
      image,
      network,
      containerName: `${prefix}-${name}`,
      cache: { volume: `${prefix}-${name}`, keep: false },
      environment: { modelTtl },
      check: "off",
    })),
  });
  const stack = await openEngineStack({ name: "scale", config: config(300) });
  const command = async (...words: string[]) => {
    const file = ["--config-file", stack.configFile];
    const { code, text } = await stack.command(...words, "--yes", "--skip-preview", ...file).ended;
    if (code !== 0) throw new Error(`pulumi ${words[0]} ended with ${code}:\n${text}`);
  };
  return {
    up: async (modelTtl) => {
      await stack.configure(config(modelTtl));
      await command("up");
    },
    down: () => command("destroy"),
    remove: () => stack.dispose(),
  };
}

/** `pulumi up` of bench/bareHosts: the least program with a volume and a container for each host. */
export async function bareFleet(args: FleetArgs): Promise<Fleet> {
  const prefix = testName("bench-bare");
  const folder = await mkdtemp(path.join(tmpdir(), "immich-ml-bench-bare-"));
  const found = await findEngine(console.log);
  if ("missing" in found) throw new Error(found.missing);
  const workDir = path.join(__dirname, "..", "bareHosts");
  const environment = {
    PULUMI_BACKEND_URL: `file://${folder}`,
    PULUMI_CONFIG_PASSPHRASE: "bench",
    PULUMI_SKIP_UPDATE_CHECK: "true",
  };
  const stack = await LocalWorkspace.createStack(
    { stackName: prefix, workDir },
    { pulumiCommand: found.engine, envVars: environment },
  );
  const command = async (word: string) => {
    const words = [word, "--yes", "--skip-preview", "--stack", prefix, "--cwd", workDir];
    const { code, text } = await startEngine(found.engine.command, words, environment).ended;
    if (code !== 0) throw new Error(`pulumi ${word} ended with ${code}:\n${text}`);
  };
  return {
    up: async (modelTtl) => {
      await stack.setConfig("fleet", { value: JSON.stringify({ ...args, prefix, modelTtl }) });
      await command("up");
    },
    down: () => command("destroy"),
    remove: async () => {
      await stack.destroy();
      await rm(folder, { recursive: true, force: true });
      await rm(path.join(workDir, `Pulumi.${prefix}.yaml`), { force: true });
    },
  };
}

const environmentOf = (modelTtl: number) => ({
  MACHINE_LEARNING_MODEL_TTL: String(modelTtl),
  ORT_CUDA_UNAVAILABLE: "1",
});
const securityOptions = ["no-new-privileges:true"];
const logOptions = { "max-size": "10m", "max-file": "3" };
const healthcheck = {
  test: ["CMD", "python3", "healthcheck.py"],
  interval: "10s",
  timeout: "10s",
  retries: 3,
  start_period: "2m",
};

/** The same containers for docker compose. */
export async function composeFleet({ hosts, image, network }: FleetArgs): Promise<Fleet> {
  const [program, ...words] = await composeCommand();
  const folder = await mkdtemp(path.join(tmpdir(), "immich-ml-bench-compose-"));
  const project = testName("bench-compose");
  const file = path.join(folder, "docker-compose.yml");
  const service = (name: string, modelTtl: number) => ({
    image,
    container_name: `${project}-${name}`,
    restart: "always",
    environment: environmentOf(modelTtl),
    volumes: [`${name}:/cache`],
    networks: { immich: { aliases: [name] } },
    cap_drop: ["ALL"],
    pids_limit: 4096,
    security_opt: securityOptions,
    logging: { driver: "json-file", options: logOptions },
    healthcheck,
  });
  const compose = (...command: string[]) =>
    run(program, [...words, "--project-name", project, "--file", file, ...command]);
  const down = () => compose("down", "--volumes", "--timeout", "0");
  return {
    up: async (modelTtl) => {
      await writeFile(
        file,
        stringify({
          version: "2.4",
          services: Object.fromEntries(hosts.map((name) => [name, service(name, modelTtl)])),
          volumes: Object.fromEntries(hosts.map((name) => [name, { name: `${project}-${name}` }])),
          networks: { immich: { external: true, name: network } },
        }),
      );
      await compose("up", "--detach");
    },
    // Ours stops the containers without waiting, too.
    down,
    remove: async () => {
      await down();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

const ansible = ["ansible==12.3.0", "docker==7.1.0", "requests==2.32.5"];

/** The same containers for Ansible, installed from PyPI into a virtual environment of this benchmark. */
export async function ansibleFleet({ hosts, image, network }: FleetArgs): Promise<Fleet> {
  const folder = await mkdtemp(path.join(tmpdir(), "immich-ml-bench-ansible-"));
  const environment = path.join(folder, "venv");
  await run("python3", ["-m", "venv", environment]);
  await run(path.join(environment, "bin", "pip"), ["install", "--quiet", ...ansible]);
  const prefix = testName("bench-ansible");
  const play = path.join(folder, "play.yml");
  const looped = { loop: hosts };
  const start = (modelTtl: number) => [
    {
      "community.docker.docker_volume": { name: `${prefix}-{{ item }}` },
      ...looped,
    },
    {
      "community.docker.docker_container": {
        name: `${prefix}-{{ item }}`,
        image,
        restart_policy: "always",
        env: environmentOf(modelTtl),
        volumes: [`${prefix}-{{ item }}:/cache`],
        networks: [{ name: network, aliases: ["{{ item }}"] }],
        cap_drop: ["ALL"],
        pids_limit: 4096,
        security_opts: securityOptions,
        log_driver: "json-file",
        log_options: logOptions,
        healthcheck,
      },
      ...looped,
    },
  ];
  const stop = [
    {
      "community.docker.docker_container": {
        name: `${prefix}-{{ item }}`,
        state: "absent",
        force_kill: true,
      },
      ...looped,
    },
    {
      "community.docker.docker_volume": { name: `${prefix}-{{ item }}`, state: "absent" },
      ...looped,
    },
  ];
  const perform = async (tasks: readonly object[]) => {
    const localhost = { hosts: "localhost", connection: "local", gather_facts: false, tasks };
    await writeFile(play, stringify([localhost]));
    const python = path.join(environment, "bin", "python");
    await run(path.join(environment, "bin", "ansible-playbook"), [
      ...["--inventory", "localhost,"],
      ...["--extra-vars", `ansible_python_interpreter=${python}`, play],
    ]);
  };
  return {
    up: (modelTtl) => perform(start(modelTtl)),
    down: () => perform(stop),
    remove: async () => {
      await perform(stop);
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/**
 * The same containers for Terraform and its Docker provider, whose runs refresh.
 *
 * @returns undefined where Terraform or that provider is not at hand
 */
export async function terraformFleet({
  hosts,
  image,
  network,
}: FleetArgs): Promise<Fleet | undefined> {
  if (!(await isInstalled("terraform"))) return undefined;
  const folder = await mkdtemp(path.join(tmpdir(), "immich-ml-bench-terraform-"));
  const prefix = testName("bench-terraform");
  const named = Object.fromEntries(hosts.map((name) => [name, `${prefix}-${name}`]));
  const configuration = (modelTtl: number) => ({
    terraform: { required_providers: { docker: { source: "kreuzwerker/docker" } } },
    resource: {
      docker_volume: { cache: { for_each: named, name: "${each.value}" } },
      docker_container: {
        ml: {
          for_each: named,
          name: "${each.value}",
          image,
          restart: "always",
          env: Object.entries(environmentOf(modelTtl)).map(([key, value]) => `${key}=${value}`),
          volumes: {
            volume_name: "${docker_volume.cache[each.key].name}",
            container_path: "/cache",
          },
          networks_advanced: { name: network, aliases: ["${each.key}"] },
          capabilities: { drop: ["ALL"] },
          security_opts: securityOptions,
          log_driver: "json-file",
          log_opts: logOptions,
          healthcheck,
        },
      },
    },
  });
  const terraform = (...words: string[]) =>
    run("terraform", [`-chdir=${folder}`, ...words, "-input=false", "-no-color"]);
  const write = (modelTtl: number) =>
    writeFile(path.join(folder, "main.tf.json"), JSON.stringify(configuration(modelTtl)));
  const remove = () => rm(folder, { recursive: true, force: true });
  await write(300);
  try {
    await terraform("init");
  } catch {
    await remove();
    return undefined;
  }
  const down = () => terraform("destroy", "-auto-approve");
  return {
    up: async (modelTtl) => {
      await write(modelTtl);
      await terraform("apply", "-auto-approve");
    },
    down,
    remove: async () => {
      await down();
      await remove();
    },
  };
}
