import { createHash } from "node:crypto";
import { copyFile, cp, mkdir, mkdtemp, readFile, realpath, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";

import { fakeImages } from "../../demo/fakeImages";
import { repositoryFolder } from "../../demo/folders";
import { isInstalled, run } from "../../demo/shell";
import { fakes } from "./docker";
import { isOnPath } from "./engineStack";

const providers = ["docker", "command", "postgresql"];

/** Why the runner cannot be built here; undefined when it can. */
export const missingRunnerBase = ["pulumi", "pulumi-language-nodejs", "docker"]
  .concat(providers.map((name) => `pulumi-resource-${name}`))
  .every(isOnPath)
  ? undefined
  : "Pulumi's engine and providers are not on the PATH";
if (missingRunnerBase) console.log(`SKIPPED: ${missingRunnerBase}, the runner is not built`);

/** Images in place of the runner's official bases. */
export interface RunnerBases {
  readonly base: string;
  readonly docker: string;
}

/**
 * Where no container registry answers: this machine's Node.js, Pulumi and Docker client on the demo's
 * Debian. Built once for each content.
 */
export async function runnerBases(): Promise<RunnerBases> {
  await fakes();
  const debian = fakeImages("v2.7.5").python310.replace(/\/python:.*/, "/debian:bookworm");
  const folder = await mkdtemp(path.join(tmpdir(), "immich-ml-test-base-"));
  try {
    const root = path.join(folder, "root");
    const programs = path.join(root, "usr/local/bin");
    await mkdir(programs, { recursive: true });
    await copyFile(process.execPath, path.join(programs, "node"));
    const npm = path.dirname(path.dirname(await realpath(await locate("npm"))));
    await cp(npm, path.join(root, "usr/local/lib/node_modules/npm"), { recursive: true });
    for (const name of ["pulumi", "pulumi-language-nodejs", "pulumi-resource-pulumi-nodejs"]) {
      if (await isInstalled(name)) await copyFile(await locate(name), path.join(programs, name));
    }
    const packages = JSON.parse(
      await readFile(path.join(repositoryFolder, "package.json"), "utf8"),
    ) as { dependencies: Record<string, string> };
    for (const name of providers) {
      // Where the runner's own `pulumi plugin install` finds that it is there.
      const version = packages.dependencies[`@pulumi/${name}`]!;
      const plugin = path.join(root, "opt/pulumi-home/plugins", `resource-${name}-v${version}`);
      await mkdir(plugin, { recursive: true });
      const file = `pulumi-resource-${name}`;
      await copyFile(await locate(file), path.join(plugin, file));
    }
    await mkdir(path.join(folder, "client"));
    await copyFile(await realpath(await locate("docker")), path.join(folder, "client", "docker"));
    const registry = (await run("npm", ["config", "get", "registry"])).trim();
    await writeFile(
      path.join(folder, "Dockerfile"),
      `FROM ${debian}
COPY root /
RUN ln -s ../lib/node_modules/npm/bin/npm-cli.js /usr/local/bin/npm && npm config --global set registry "${registry}"
ENV NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt
`,
    );
    await writeFile(
      path.join(folder, "client", "Dockerfile"),
      "FROM scratch\nCOPY docker /usr/local/bin/docker\n",
    );
    const base = `immich-ml-demo/runner-base:${await versionTag(programs)}`;
    const docker = "immich-ml-demo/docker-client:latest";
    const environment = { DOCKER_BUILDKIT: "0" };
    await run("docker", ["build", "--quiet", "--tag", base, folder], { environment });
    const client = path.join(folder, "client");
    await run("docker", ["build", "--quiet", "--tag", docker, client], { environment });
    return { base, docker };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function locate(program: string): Promise<string> {
  return (await run("sh", ["-c", `command -v ${program}`])).trim();
}

async function versionTag(programs: string): Promise<string> {
  const engine = await readFile(path.join(programs, "pulumi"));
  return createHash("sha256").update(engine).digest("hex").slice(0, 12);
}
