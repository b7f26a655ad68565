import { execFile } from "node:child_process";
import { chmod, mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";

import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { repositoryFolder } from "../../demo/folders";
import { run } from "../../demo/shell";
import { fakes, startedDocker, testName } from "../support/docker";

interface Ended {
  readonly code: number;
  readonly text: string;
}

/** What a host may lack, on the real engine: each ends in one message and changes nothing. */
describe("setup on a host with a fault", () => {
  const containers: string[] = [];
  const [first, second] = [testName("immich"), testName("immich")];
  let image: string;
  let home: string;

  const ended = (
    program: string,
    words: readonly string[],
    environment: Readonly<Record<string, string>> = {},
  ): Promise<Ended> =>
    new Promise((resolve) => {
      const options = {
        cwd: repositoryFolder,
        env: { ...process.env, IMMICH_ML_HOME: home, ...environment },
      };
      execFile(program, words, options, (error, stdout, stderr) =>
        resolve({ code: error ? Number(error.code) : 0, text: stdout + stderr }),
      );
    });
  const setup = (...words: string[]) =>
    ended(process.execPath, ["--import", "tsx", "setup/setup.ts", "--yes", ...words]);

  async function startServer(project: string, variables: readonly string[] = []): Promise<string> {
    const name = `${project}-server`;
    await run("docker", [
      ...["run", "--detach", "--name", name],
      ...["--label", `com.docker.compose.project=${project}`],
      ...["--label", "com.docker.compose.service=immich-server"],
      ...["--env", "IMMICH_SOURCE_REF=v2.7.4"],
      ...variables.flatMap((variable) => ["--env", variable]),
      ...[image, "sleep", "infinity"],
    ]);
    containers.push(name);
    return name;
  }

  beforeAll(async () => {
    await startedDocker();
    image = (await fakes()).python310;
    home = await mkdtemp(path.join(tmpdir(), "immich-ml-test-home-"));
    await chmod(home, 0o777);
  });

  afterAll(async () => {
    for (const name of containers) await run("docker", ["rm", "--force", name]);
    await rm(home, { recursive: true });
  });

  it("fault: no engine answers at the socket", async () => {
    const nowhere = "unix:///nowhere/docker.sock";
    const { code, text } = await ended("./immich-ml", ["setup", "--yes"], { DOCKER_HOST: nowhere });
    expect(code).toBe(1);
    expect(text).toContain(`no Docker engine answers at ${nowhere}: start it, or set DOCKER_HOST`);
  });

  it.skipIf(process.getuid?.() !== 0)("fault: the user may not use the socket", async () => {
    const nobody = ["--reuid", "65534", "--regid", "65534", "--clear-groups"];
    const folder = await mkdtemp(path.join(tmpdir(), "immich-ml-test-launcher-"));
    try {
      await run("cp", [path.join(repositoryFolder, "immich-ml"), folder]);
      await chmod(folder, 0o755);
      const words = [...nobody, path.join(folder, "immich-ml"), "setup", "--yes"];
      const { code, text } = await ended("setpriv", words);
      expect(code).toBe(1);
      expect(text).toContain("this user may not use Docker");
      expect(text).toContain("add the user to the group docker");
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  it("fault: two Immichs, one of them stopped; --immich chooses", async () => {
    const servers = [await startServer(first), await startServer(second)];
    const both = await setup();
    expect(both.code).toBe(2);
    expect(both.text).toContain("there is more than one Immich");
    for (const name of servers) expect(both.text).toContain(name);

    await run("docker", ["stop", "--time", "0", servers[0]!]);
    const stopped = await setup("--immich", first);
    expect(stopped.code).toBe(2);
    expect(stopped.text).toContain(`Immich is stopped: start it (docker start ${servers[0]})`);
    expect((await setup("--immich", "nobody")).text).toContain("there is no Immich called nobody");
  });

  it("fault: a server without database variables; Immich's defaults are shown, and what does not answer", async () => {
    const { code, text } = await setup("--dry-run", "--immich", second);
    expect(code, text).toBe(0);
    expect(text).toMatch(/Database\s+immich as postgres in database/);
  });

  it("fault: DB_URL instead of single variables; a wrong one is refused without its password", async () => {
    const [good, bad] = [testName("immich"), testName("immich")];
    await startServer(good, ["DB_URL=postgres://owner:p%27a%22s%20%24w@db.invalid:5433/photos"]);
    const read = await setup("--dry-run", "--immich", good);
    expect(read.code, read.text).toBe(0);
    expect(read.text).toMatch(/Database\s+photos as owner in db\.invalid/);
    expect(read.text).not.toMatch(/p'a"s|p%27a/);

    await startServer(bad, ["DB_URL=mysql://owner:geheim@db.invalid/photos"]);
    const refused = await setup("--immich", bad);
    expect(refused.code).toBe(2);
    expect(refused.text).toContain("DB_URL of the server");
    expect(refused.text).not.toContain("geheim");
  });

  it("none of them has written anything", async () => {
    expect(await readdir(home)).toEqual([]);
  });
});
