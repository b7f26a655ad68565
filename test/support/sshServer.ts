import { type ChildProcess, spawn } from "node:child_process";
import { chmod, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir, userInfo } from "node:os";
import path from "node:path";

import { freePort } from "../../demo/postgres";
import { installDebianPackages, isInstalled, run } from "../../demo/shell";

/** A real sshd on loopback, whose sessions find other programs and another Docker engine. */
export interface SshServer {
  /** An engine's address, as in `DOCKER_HOST`. */
  readonly endpoint: string;
  /** The same with a host key that the client does not know. */
  readonly strangerEndpoint: string;
  /** This PATH with an `ssh` that knows the key and the server. */
  readonly path: string;
  /** Stops answering, like a machine that is switched off. */
  switchOff(): Promise<void>;
  switchOn(): Promise<void>;
  stop(): Promise<void>;
}

/**
 * @param options.dockerHost the engine that sessions reach
 * @param options.programs shell scripts that sessions find on their PATH, by name
 */
export async function startSshServer(options: {
  readonly dockerHost: string;
  readonly programs?: Readonly<Record<string, string>>;
}): Promise<SshServer> {
  if (!(await isInstalled("/usr/sbin/sshd"))) {
    await installDebianPackages(["openssh-server", "openssh-client"], console.log);
  }
  const folder = await mkdtemp(path.join(tmpdir(), "immich-ml-test-ssh-"));
  const file = (name: string) => path.join(folder, name);
  const programs = file("programs");
  await mkdir(programs);
  for (const [name, script] of Object.entries(options.programs ?? {})) {
    await writeFile(path.join(programs, name), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  }
  for (const name of ["host-key", "user-key"]) {
    await run("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", file(name)]);
  }
  const port = await freePort();
  // sshd needs this folder, which only the service creates.
  await mkdir("/run/sshd", { recursive: true });
  await writeFile(
    file("sshd_config"),
    `Port ${port}
ListenAddress 127.0.0.1
HostKey ${file("host-key")}
PidFile none
AuthorizedKeysFile ${file("user-key.pub")}
PasswordAuthentication no
PermitRootLogin prohibit-password
StrictModes no
UsePAM no
SetEnv DOCKER_HOST=${options.dockerHost} PATH=${programs}:/usr/local/bin:/usr/bin:/bin
`,
  );
  const publicKey = await run("cat", [file("host-key.pub")]);
  await writeFile(file("known_hosts"), `[127.0.0.1]:${port} ${publicKey}`);
  await writeFile(
    file("ssh_config"),
    `IdentityFile ${file("user-key")}\nIdentitiesOnly yes\nUserKnownHostsFile ${file("known_hosts")}\n`,
  );
  const client = file("client");
  await mkdir(client);
  await writeFile(
    path.join(client, "ssh"),
    `#!/bin/sh\nexec /usr/bin/ssh -F ${file("ssh_config")} "$@"\n`,
  );
  await chmod(path.join(client, "ssh"), 0o755);

  let server: ChildProcess;
  const switchOn = async () => {
    server = await listen(file("sshd_config"));
  };
  const switchOff = () =>
    new Promise<void>((resolve) => {
      server.once("exit", () => resolve());
      server.kill();
    });
  await switchOn();
  const { username } = userInfo();
  return {
    endpoint: `ssh://${username}@127.0.0.1:${port}`,
    strangerEndpoint: `ssh://${username}@localhost:${port}`,
    path: `${client}:${process.env["PATH"]}`,
    switchOff,
    switchOn,
    stop: async () => {
      server.kill();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

function listen(configuration: string): Promise<ChildProcess> {
  const server = spawn("/usr/sbin/sshd", ["-D", "-e", "-f", configuration], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  return new Promise((resolve, reject) => {
    let log = "";
    server.stderr.on("data", (text: Buffer) => {
      log += text.toString();
      if (log.includes("Server listening")) resolve(server);
    });
    server.once("exit", () => reject(new Error(`sshd did not start: ${log}`)));
  });
}
