import { execFile, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";

import type Docker from "dockerode";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parse, stringify } from "yaml";

import { createImmichDatabase, type ImmichDatabase } from "../../demo/immichDatabase";
import { composeCommand } from "../../bench/support/compose";
import { repositoryFolder } from "../../demo/folders";
import type { StartedPostgres } from "../../demo/postgres";
import { run } from "../../demo/shell";
import { writeStack } from "../../setup/home";
import { fakes, startedDocker, testName } from "../support/docker";
import { missingEngine } from "../support/engineStack";
import { startTestPostgres } from "../support/postgres";
import { missingRunnerBase, type RunnerBases, runnerBases } from "../support/runnerBase";
import { buildSmallService, type TestImage } from "../support/smallService";
import { atTerminal, type Step } from "../support/terminal";

/** A release without a digest in the catalog, so that an image of this engine stands for Immich's. */
const version = "v2.7.4";

interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** The owner's way from a compose Immich to the new service and back, with nothing but the launcher. */
describe.skipIf(missingEngine ?? missingRunnerBase)("./immich-ml beside a compose Immich", () => {
  const project = testName("owner");
  const names = {
    server: `${project}-server`,
    machineLearning: `${project}-ml`,
    cache: `${project}-cache`,
    network: `${project}_default`,
  };
  const images = ["server", "machine-learning"].map(
    (name) => `ghcr.io/immich-app/immich-${name}:${version}`,
  );
  let docker: Docker;
  let home: string;
  let composeFolder: string;
  let bases: RunnerBases;
  let service: TestImage;
  let postgres: StartedPostgres;
  let database: ImmichDatabase;
  let container: string;
  /** Of the owner's two commands, with the runner built. */
  let seconds = 0;

  const environment = () => ({
    ...process.env,
    IMMICH_ML_HOME: home,
    IMMICH_ML_BASE_IMAGE: bases.base,
    IMMICH_ML_DOCKER_IMAGE: bases.docker,
  });

  function launch(...words: string[]): Promise<Ended> {
    const options = { env: environment(), maxBuffer: 2 ** 24 };
    return new Promise((resolve) => {
      execFile(path.join(repositoryFolder, "immich-ml"), words, options, (error, stdout, stderr) =>
        resolve({ code: error ? Number(error.code) : 0, stdout, stderr }),
      );
    });
  }

  beforeAll(async () => {
    docker = await startedDocker();
    bases = await runnerBases();
    service = await buildSmallService();
    const { python310 } = await fakes();
    await run("docker", ["tag", python310, images[0]!]);
    await run("docker", ["tag", service.reference, images[1]!]);
    postgres = await startTestPostgres();
    database = await createImmichDatabase(postgres);
    home = await mkdtemp(path.join(tmpdir(), "immich-ml-test-home-"));
    composeFolder = await mkdtemp(path.join(tmpdir(), "immich-ml-test-compose-"));
    const composeFile = path.join(composeFolder, "docker-compose.yml");
    const services = {
      "immich-server": { image: images[0] },
      "immich-machine-learning": { image: images[1] },
    };
    await writeFile(composeFile, stringify({ services }));
    const labels = (name: string) => [
      ...["--label", `com.docker.compose.project=${project}`],
      ...["--label", `com.docker.compose.service=immich-${name}`],
      ...["--label", `com.docker.compose.project.config_files=${composeFile}`],
    ];
    await run("docker", ["network", "create", names.network]);
    await run("docker", [
      ...["run", "--detach", "--name", names.server, "--network", names.network],
      ...labels("server"),
      ...["--env", `DB_HOSTNAME=127.0.0.1`, "--env", `DB_PORT=${postgres.port}`],
      ...["--env", `DB_PASSWORD=${postgres.password}`],
      ...[images[0]!, "sleep", "infinity"],
    ]);
    await run("docker", [
      ...["run", "--detach", "--name", names.machineLearning, "--network", names.network],
      ...["--network-alias", "immich-machine-learning", "--volume", `${names.cache}:/cache`],
      ...labels("machine-learning"),
      // As the official image does on such a card, it ends, and Docker starts it again and again.
      ...["--restart", "always", images[1]!, "sh", "-c"],
      "echo 'cudaErrorNoKernelImageForDevice: no kernel image is available'; exit 1",
    ]);
  });

  afterAll(async () => {
    if (home && existsSync(path.join(home, "Pulumi.yaml"))) await launch("down", "--yes");
    for (const name of [names.server, names.machineLearning])
      await docker
        .getContainer(name)
        .remove({ force: true })
        .catch(() => undefined);
    await docker
      .getVolume(names.cache)
      .remove()
      .catch(() => undefined);
    await docker
      .getNetwork(names.network)
      .remove()
      .catch(() => undefined);
    for (const name of images) await run("docker", ["rmi", name]).catch(() => undefined);
    await service?.remove().catch(() => undefined);
    await postgres?.remove();
    for (const folder of [home, composeFolder])
      if (folder) await rm(folder, { recursive: true, force: true });
  });

  const runners = async () => {
    const all = await docker.listContainers();
    return all.filter(({ Image }) => Image.startsWith("immich-ml-runner:"));
  };

  it("says what is missing before there is a stack", async () => {
    const { code, stderr } = await launch("up");
    expect(code, stderr).toBe(1);
    expect(stderr).toMatch(/there is no stack in .* yet: \.\/immich-ml setup/);
  });

  it("setup --dry-run shows the stack file and changes nothing", async () => {
    const { code, stdout, stderr } = await launch("setup", "--dry-run", "--immich", project);
    expect(code, stderr).toBe(0);
    expect(stdout).toContain(`takeOver: ${names.machineLearning}`);
    expect(existsSync(path.join(home, "Pulumi.yaml"))).toBe(false);
  });

  it("setup --yes finds Immich, its database and cache, and writes the stack file and the passphrase", async () => {
    const begin = performance.now();
    const { code, stdout, stderr } = await launch("setup", "--yes", "--immich", project);
    seconds += (performance.now() - begin) / 1000;
    expect(code, stderr).toBe(0);
    expect(stdout).toMatch(new RegExp(`${version} in ${names.server} \\(compose, ${project}\\)`));
    expect(stdout).toMatch(/ViT-B-16-SigLIP2__webli, 3 photos indexed/);
    expect(stdout + stderr).not.toContain(database.password);
    const file = path.join(home, "Pulumi.home.yaml");
    expect(await readFile(file, "utf8")).toContain(`cache: { volume: ${names.cache} }`);
    expect((await stat(path.join(home, "passphrase"))).mode & 0o777).toBe(0o600);
    const again = await launch("setup", "--yes", "--immich", project);
    expect(again.stdout).toContain("is up to date");
    container = `immich-ml-${/name: (\S+)/.exec(await readFile(file, "utf8"))![1]}`;
  });

  const setupAtTerminal = (folder: string, ...steps: Step[]) =>
    atTerminal([path.join(repositoryFolder, "immich-ml"), "setup", "--immich", project], steps, {
      IMMICH_ML_HOME: folder,
      IMMICH_ML_BASE_IMAGE: bases.base,
      IMMICH_ML_DOCKER_IMAGE: bases.docker,
    });

  it("fault: Ctrl-C at each question of setup; nothing is written", async () => {
    const folder = await mkdtemp(path.join(tmpdir(), "immich-ml-test-home-"));
    const questions: Step[] = [
      ["Which languages", "\r"],
      ["Mirrors, if your network", "\r"],
      [`Replace ${names.machineLearning}?`, "\r"],
    ];
    try {
      for (const [last, [question]] of questions.entries()) {
        const steps = [...questions.slice(0, last), [question, "\x03"] as const];
        const { code, text, left } = await setupAtTerminal(folder, ...steps);
        expect([code, left], text).toEqual([130, []]);
        expect(text).toContain("nothing was changed");
        expect(await readdir(folder)).toEqual([]);
        expect(await readdir(composeFolder)).toEqual(["docker-compose.yml"]);
      }
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  it("setup at a terminal asks, refuses a wrong mirror, and writes the answers and compose's override", async () => {
    const folder = await mkdtemp(path.join(tmpdir(), "immich-ml-test-home-"));
    try {
      const { code, text, left } = await setupAtTerminal(
        folder,
        ["Which languages", "\r"],
        ["Mirrors, if your network", "huggingFaceEndpoint=hf.lan\r"],
        ["huggingFaceEndpoint must be a URL", "\x15huggingFaceEndpoint=https://hf.lan\r"],
        [`Replace ${names.machineLearning}?`, "\r"],
        ["docker-compose.override.yml?", "\r"],
      );
      expect([code, left], text).toEqual([0, []]);
      expect(text).not.toContain(database.password);
      const file = await readFile(path.join(folder, "Pulumi.home.yaml"), "utf8");
      const { config } = parse(file) as { config: Record<string, { environment: object }[]> };
      expect(config["immich-ml:hosts"]).toMatchObject([
        {
          takeOver: names.machineLearning,
          cache: { volume: names.cache },
          environment: { huggingFaceEndpoint: "https://hf.lan" },
        },
      ]);
      // Compose itself reads the override and leaves the service alone.
      const [program, ...words] = await composeCommand();
      const compose = (...more: string[]) =>
        run(program, [...words, "--project-name", `${project}-again`, ...more], {
          directory: composeFolder,
        });
      try {
        await compose("up", "--no-start");
        const made = await docker.listContainers({
          all: true,
          filters: { label: [`com.docker.compose.project=${project}-again`] },
        });
        const service = "com.docker.compose.service";
        expect(made.map(({ Labels }) => Labels[service])).toEqual(["immich-server"]);
      } finally {
        await compose("down");
      }
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  it("a user who is not root owns what is written", async () => {
    const folder = await mkdtemp(path.join(tmpdir(), "immich-ml-test-user-"));
    const user = 65_534;
    try {
      // A checkout that this user may read, with the same content and so the same runner.
      const text = await readFile(path.join(repositoryFolder, "immich-ml"), "utf8");
      const contents = /^contents='([^']+)'/m.exec(text)![1]!.split(/\s+/);
      const script = `
        mkdir "$1/user" "$1/checkout" && chmod 755 "$1" &&
        cp -r --parents immich-ml ${contents.join(" ")} "$1/checkout" &&
        chown -R ${user} "$1/user" && cd / && socket=$(stat -c %g /var/run/docker.sock) &&
        HOME=$1/user IMMICH_ML_HOME=$1/user/stacks exec setpriv --reuid ${user} --regid ${user} \
          --groups "${user},$socket" "$1/checkout/immich-ml" setup --yes --immich "$2"`;
      const output = await run("sh", ["-c", script, "sh", folder, project], {
        environment: environment(),
        directory: repositoryFolder,
      });
      expect(output).toContain(`${version} in ${names.server}`);
      for (const file of ["Pulumi.home.yaml", "Pulumi.yaml", "passphrase", ".pulumi"])
        expect((await stat(path.join(folder, "user", "stacks", file))).uid).toBe(user);
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  it("up, status and check go without a question, a terminal or a passphrase by hand", async () => {
    const begin = performance.now();
    const up = await launch("up", "--yes");
    seconds += (performance.now() - begin) / 1000;
    expect(up.code, up.stdout + up.stderr).toBe(0);
    expect(up.stdout).toContain(version);
    console.log(`./immich-ml setup --yes && ./immich-ml up --yes: ${seconds.toFixed(1)} s`);
    expect(seconds).toBeLessThan(300);
    const status = await launch("status", "--json");
    expect(status.code, status.stderr).toBe(0);
    expect(JSON.parse(status.stdout)).toMatchObject({
      hosts: [{ health: expect.stringMatching(/^(starting|healthy)$/) as string }],
    });
    const check = await launch("check", "--bundle");
    expect(check.code, check.stdout + check.stderr).toBe(0);
    const bundle = await readFile(path.join(home, "immich-ml-bundle.txt"), "utf8");
    expect(bundle).toMatch(/== versions\nimmich-ml /);
    expect(bundle).not.toContain(database.password);
    expect((await launch("check", "nowhere")).code).toBe(2);
    const preview = await launch("preview", "--expect-no-changes");
    expect(preview.code, preview.stdout).toBe(0);
    const changed = await run("git", ["status", "--porcelain", "Pulumi.yaml", "Pulumi.dev.yaml"], {
      directory: repositoryFolder,
    });
    expect(changed).toBe("");
  });

  it("fault: Ctrl-C in a run; it ends, no runner stays, and the next run goes on", async () => {
    const child = spawn(path.join(repositoryFolder, "immich-ml"), ["up", "--yes", "--refresh"], {
      env: environment(),
      stdio: "ignore",
    });
    const ended = new Promise((resolve) => child.once("exit", resolve));
    const deadline = Date.now() + 60_000;
    while ((await runners()).length === 0 && Date.now() < deadline)
      await new Promise((resolve) => setTimeout(resolve, 200));
    child.kill("SIGINT");
    await ended;
    expect(await runners()).toEqual([]);
    const up = await launch("up", "--yes");
    expect(up.code, up.stdout + up.stderr).toBe(0);
  });

  it("fault: the runner is killed in the middle of up; the next up keeps a live run's lock, and removes a dead one's", async () => {
    const child = spawn(path.join(repositoryFolder, "immich-ml"), ["up", "--yes", "--refresh"], {
      env: environment(),
      stdio: "ignore",
    });
    const ended = new Promise((resolve) => child.once("exit", resolve));
    const locks = path.join(home, ".pulumi", "locks");
    const isLocked = async () => {
      const files = existsSync(locks) ? await readdir(locks, { recursive: true }) : [];
      return files.some((file) => file.endsWith(".json"));
    };
    const deadline = Date.now() + 60_000;
    while (!(await isLocked()) && Date.now() < deadline)
      await new Promise((resolve) => setTimeout(resolve, 50));
    const runner = (await runners())[0]!.Names[0]!.slice(1);
    await run("docker", ["pause", runner]);
    for (const command of [["recover"], ["up", "--yes"]]) {
      const refused = await launch(...command);
      expect(refused.code, refused.stdout + refused.stderr).toBe(2);
      expect(refused.stderr).toContain(
        `a run of ./immich-ml (container ${runner}) is using the stack`,
      );
    }
    await run("docker", ["kill", runner]);
    await ended;
    const up = await launch("up", "--yes");
    expect(up.code, up.stdout + up.stderr).toBe(0);
    expect(up.stderr).toContain("removed the lock of a run that has ended");
  });

  it("down takes everything of immich-ml away", async () => {
    const down = await launch("down", "--yes");
    expect(down.code, down.stdout + down.stderr).toBe(0);
    const all = await docker.listContainers({ all: true });
    const left = all.flatMap(({ Names }) => Names);
    expect(left).not.toContain(`/${container}`);
    // Compose's, back under its name.
    expect(left).toContain(`/${names.machineLearning}`);
    const { HostConfig } = await docker.getContainer(names.machineLearning).inspect();
    expect(HostConfig.RestartPolicy?.Name).toBe("always");
  });

  it("a password with quotes, a dollar sign and blanks is stored as it is", async () => {
    const folder = await mkdtemp(path.join(tmpdir(), "immich-ml-test-home-"));
    const password = ` p'a"s $HOME\\ o#rd `;
    const former = process.env["IMMICH_ML_HOME"];
    process.env["IMMICH_ML_HOME"] = folder;
    try {
      const config = { immich: { version: "auto" }, preset: "none" };
      await writeStack(folder, repositoryFolder, config, { databasePassword: password });
      const text = await readFile(path.join(folder, "Pulumi.home.yaml"), "utf8");
      expect(text).toContain("# Written by immich-ml setup");
      expect(text).not.toContain("HOME");
      const stored = await run(
        "pulumi",
        ["config", "get", "immich-ml:databasePassword", "--stack", "home", "--cwd", folder],
        { environment: { PULUMI_CONFIG_PASSPHRASE_FILE: path.join(folder, "passphrase") } },
      );
      expect(stored.replace(/\n$/, "")).toBe(password);
      // Written again, the secret and its salt stay.
      await writeStack(folder, repositoryFolder, { ...config, preset: "large" }, {});
      const after = await readFile(path.join(folder, "Pulumi.home.yaml"), "utf8");
      for (const line of [/^encryptionsalt: .*$/m, /^ {4}secure: .*$/m])
        expect(line.exec(after)?.[0]).toBe(line.exec(text)?.[0]);
    } finally {
      if (former === undefined) delete process.env["IMMICH_ML_HOME"];
      else process.env["IMMICH_ML_HOME"] = former;
      await rm(folder, { recursive: true });
    }
  });
});
