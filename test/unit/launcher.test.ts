import { execFile } from "node:child_process";
import { chmod, mkdir, mkdtemp, readFile, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";

import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

import { shellOn } from "../../preflight/hostProbe";

const launcher = path.join(__dirname, "..", "..", "immich-ml");

/** Plays Docker's client: writes down how it is called, and answers as the test's variables say. */
const docker = `#!/bin/sh
printf '%s\\n' "$DOCKER_HOST|$*" >>"$CALLS"
case "$*" in
  "context inspect"*) echo "\${CONTEXT:-unix:///var/run/docker.sock}" ;;
  "--host unix:///var/run/docker.sock version") exit "\${NO_LOCAL:-0}" ;;
  version*) [ -z "$VERSION_ERROR" ] || { echo "$VERSION_ERROR" >&2; exit 1; }; echo "\${ENGINE:-Engine containerd runc }" ;;
  --version) echo "Docker version 20.10.24" ;;
  info*) echo "\${INFO:-Debian GNU/Linux 12 [name=seccomp,profile=default]}" ;;
  "image inspect"*) exit "\${NO_IMAGE:-0}" ;;
  build*) cat >/dev/null; echo "no space left on device" >&2; exit "\${BUILD:-0}" ;;
  "image ls"*) echo immich-ml-runner:former ;;
  run*) exit "\${RUN:-0}" ;;
esac
`;

interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

describe("the preflight in the runner", () => {
  afterEach(() => vi.unstubAllEnvs());

  it("asks the machine outside for its devices and driver, not the runner", () => {
    const engine = "unix:///run/user/1000/docker.sock";
    expect(shellOn(engine)).toEqual(["sh", "-s"]);
    vi.stubEnv("IMMICH_ML_RUNNER", "immich-ml-runner:abc");
    const words = shellOn(engine)!.join(" ");
    expect(words).toMatch(/^docker --host unix:\/\/\/run\/user\/1000\/docker\.sock run --rm /);
    expect(words).toMatch(/--volume \/:\/machine:ro .* immich-ml-runner:abc \/machine sh -s$/);
    expect(shellOn("ssh://me@tower")![0]).toBe("ssh");
  });
});

describe("./immich-ml", () => {
  let folder: string;
  let calls: string;

  beforeEach(async () => {
    folder = await mkdtemp(path.join(tmpdir(), "immich-ml-test-launcher-"));
    calls = path.join(folder, "calls");
    await mkdir(path.join(folder, "bin"));
    await mkdir(path.join(folder, "user"));
    await writeFile(path.join(folder, "bin", "docker"), docker);
    await chmod(path.join(folder, "bin", "docker"), 0o755);
  });
  afterEach(() => rm(folder, { recursive: true }));

  const home = () => path.join(folder, "user", ".immich-ml");

  function launch(
    words: readonly string[],
    environment: Readonly<Record<string, string>> = {},
    program = launcher,
  ): Promise<Ended> {
    const env = {
      PATH: `${path.join(folder, "bin")}:${process.env["PATH"]}`,
      HOME: path.join(folder, "user"),
      CALLS: calls,
      ...environment,
    };
    return new Promise((resolve) => {
      execFile(program, words, { env }, (error, stdout, stderr) =>
        resolve({ code: error ? Number(error.code) : 0, stdout, stderr }),
      );
    });
  }

  /** The words of `docker run`, and the engine it went to. */
  async function ran(): Promise<{ engine: string; words: string }> {
    const line = (await readFile(calls, "utf8")).split("\n").find((each) => each.includes("|run "));
    const [engine = "", words = ""] = (line ?? "|").split("|");
    return { engine, words };
  }

  it("runs a command in the runner, with the socket, the folder of the stacks and the machine's network", async () => {
    expect(await launch(["status", "--json"])).toMatchObject({ code: 0, stdout: "" });
    const { engine, words } = await ran();
    expect(engine).toBe("unix:///var/run/docker.sock");
    expect(words).toMatch(/ immich-ml-runner:[0-9a-f]{12} status --json$/);
    for (const part of ["--rm", "--init", "--network host", `IMMICH_ML_HOME=${home()}`])
      expect(words).toContain(part);
    expect(words).toContain(`type=bind,"src=${home()}","dst=${home()}"`);
    expect(words).toContain('"src=/var/run/docker.sock","dst=/var/run/docker.sock"');
    // No terminal here, no ssh host in a stack file.
    expect(words).not.toMatch(/--tty|\.ssh/);
    expect((await stat(home())).mode & 0o777).toBe(0o700);
  });

  it("passes the exit code on", async () => {
    expect((await launch(["check"], { RUN: "7" })).code).toBe(7);
  });

  it("builds the runner once by content, and removes those of former versions", async () => {
    await launch(["status"], { NO_IMAGE: "1", IMMICH_ML_IMAGE_MIRROR: "m.lan:5000" });
    const text = await readFile(calls, "utf8");
    expect(text).toMatch(
      /\|build .*runner\/Dockerfile .*--build-arg IMAGE_MIRROR=m\.lan:5000 .*-$/m,
    );
    expect(text).toContain("|image rm immich-ml-runner:former");
    const image = /immich-ml-runner:([0-9a-f]{12})/;
    const first = image.exec((await ran()).words)![1];
    await rm(calls);
    await launch(["status"]);
    const second = await readFile(calls, "utf8");
    expect(second).not.toMatch(/\|build/);
    // Another mirror is another image.
    expect(image.exec(second)![1]).not.toBe(first);
  });

  it("fault: the disk is full during the runner's build; nothing is run", async () => {
    const { code, stderr } = await launch(["up"], { NO_IMAGE: "1", BUILD: "1" });
    expect(code).toBe(1);
    expect(stderr).toMatch(
      /no space left.*the runner could not be built; nothing else was changed/s,
    );
    expect((await ran()).words).toBe("");
  });

  it("fault: no engine, no permission, Podman, no Docker at all; one sentence each", async () => {
    const cases: readonly (readonly [Record<string, string>, RegExp])[] = [
      [
        { VERSION_ERROR: "Cannot connect to the Docker daemon" },
        /no Docker engine answers at unix/,
      ],
      [{ VERSION_ERROR: "Got permission denied while trying to connect" }, /group docker/],
      [{ ENGINE: "Podman Engine Conmon" }, /is Podman, which immich-ml does not support/],
      [{ PATH: "/nowhere" }, /Docker is not installed/],
    ];
    for (const [environment, message] of cases) {
      const program = "PATH" in environment ? await withTools() : launcher;
      const tools: Record<string, string> =
        "PATH" in environment ? { PATH: `${folder}/tools` } : {};
      const { code, stderr } = await launch(["up"], { ...environment, ...tools }, program);
      expect([code, stderr.trim().split("\n").length, message.test(stderr)], stderr).toEqual([
        1,
        1,
        true,
      ]);
    }
    expect((await ran()).words).toBe("");
  });

  /** A PATH with all but docker. */
  async function withTools(): Promise<string> {
    await mkdir(path.join(folder, "tools"), { recursive: true });
    for (const tool of ["sh", "dirname", "readlink"])
      await symlink(`/usr/bin/${tool}`, path.join(folder, "tools", tool));
    return launcher;
  }

  it.each([
    [
      "rootless",
      "unix:///run/user/1000/docker.sock",
      "Debian [name=rootless]",
      '"src=/run/user/1000/docker.sock","dst=/run/user/1000/docker.sock"',
    ],
    [
      "Docker Desktop",
      "unix:///home/me/.docker/desktop/docker.sock",
      "Docker Desktop []",
      '"src=/var/run/docker.sock","dst=/home/me/.docker/desktop/docker.sock"',
    ],
  ])(
    "%s: the socket of its context, as root, which is the user there",
    async (_, context, info, mount) => {
      await launch(["status"], { CONTEXT: context, INFO: info });
      const { words } = await ran();
      expect(words).toContain(mount);
      expect(words).toContain(`DOCKER_HOST=${context}`);
      expect(words).toMatch(/IMMICH_ML_USER= /);
    },
  );

  it("an engine elsewhere: the runner stays on this machine, with the user's keys", async () => {
    await mkdir(path.join(folder, "user", ".ssh"));
    await launch(["setup"], { DOCKER_HOST: "ssh://me@tower" });
    const { engine, words } = await ran();
    expect(engine).toBe("unix:///var/run/docker.sock");
    expect(words).toContain("DOCKER_HOST=ssh://me@tower");
    expect(words).toMatch(/\.ssh","dst=[^"]*\.ssh",readonly/);
  });

  it("hosts at ssh:// in the stack file get the keys, too; without a local engine the named one runs it", async () => {
    await mkdir(path.join(folder, "user", ".ssh"));
    await mkdir(home());
    await writeFile(path.join(home(), "Pulumi.home.yaml"), "dockerHost: ssh://me@tower\n");
    await launch(["up"], { DOCKER_HOST: "tcp://127.0.0.1:2375", NO_LOCAL: "1" });
    const { engine, words } = await ran();
    expect(engine).toBe("tcp://127.0.0.1:2375");
    expect(words).toMatch(/\.ssh",readonly/);
  });

  it("refuses an unknown command, a folder inside the checkout, and says how it is used", async () => {
    expect(await launch(["upp"])).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/no command upp/) as string,
    });
    expect((await launch([])).code).toBe(2);
    const help = await launch(["--help"]);
    expect(help.code).toBe(0);
    for (const word of ["setup", "up", "preview", "status", "check", "report", "down", "pulumi"])
      expect(help.stdout).toMatch(new RegExp(`^  \\./immich-ml ${word} `, "m"));
    const inside = { IMMICH_ML_HOME: path.join(__dirname, "..", "..", "test", "unit") };
    expect((await launch(["up"], inside)).stderr).toMatch(/must lie outside the checkout/);
  });

  it("works through a link, with blanks in its paths and further folders", async () => {
    const link = path.join(folder, "bin", "ml");
    await symlink(launcher, link);
    const environment = {
      IMMICH_ML_HOME: path.join(folder, "my stacks"),
      IMMICH_ML_FOLDERS: "/srv/models:/opt/ca",
    };
    expect((await launch(["status"], environment, link)).code).toBe(0);
    const { words } = await ran();
    expect(words).toContain(`"src=${folder}/my stacks"`);
    expect(words).toContain('"src=/srv/models","dst=/srv/models",readonly');
    expect(words).toContain('"src=/opt/ca","dst=/opt/ca",readonly');
  });
});
