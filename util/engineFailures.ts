import type { EngineAddress } from "./dockerClient";
import { lines } from "./lines";
import { sanitize } from "./sanitize";
import { bareHostname } from "./webUrl";

/*
 * Why an engine did not answer, by the words of the docker client, OpenSSH and the machine's shell.
 */

/** Characters of a program's own message that ours quote. */
const maxQuoteLength = 300;

interface KnownFailure {
  readonly pattern: RegExp;
  /** The kind of address it belongs to. @default any */
  readonly only?: "ssh" | "tcp";
  readonly needsTls?: true;
  /** No machine is known by that name. */
  readonly unresolved?: true;
  readonly message: (address: EngineAddress, quote: string) => string;
}

/** Where it is written which methods, keys and jump hosts ssh takes for a machine. */
const sshConfig = "~/.ssh/config";

const noDocker =
  /docker['’]?: ((command )?not found|no such file)|command not found: docker|unknown command: docker|docker['’] is not recognized|dial-stdio.* is not a docker command/i;

/** A special case stands above a general one. Each of them is a mistake; a machine that is off has none. */
const knownFailures: readonly KnownFailure[] = [
  {
    only: "ssh",
    pattern: /host identification has changed|host key for \S+ has changed/i,
    message: ({ dockerHost }) =>
      `${dockerHost} has another ssh key than before. If that machine was installed anew: ssh-keygen -R ${knownAs(dockerHost)}, then connect once by hand with ssh; otherwise somebody else may answer at its address`,
  },
  {
    only: "ssh",
    pattern: /permissions \d+ for .* too open|load key .*: bad permissions/i,
    message: ({ dockerHost }, quote) =>
      `ssh does not log in at ${dockerHost} with a key that others can read: chmod 600 the file (${quote})`,
  },
  {
    only: "ssh",
    pattern: /too many authentication failures/i,
    message: ({ dockerHost }, quote) =>
      `ssh offered too many keys at ${dockerHost}: name the right one for this host in ${sshConfig} (IdentityFile, and IdentitiesOnly yes), or give the machine one of them (ssh-copy-id) (${quote})`,
  },
  {
    only: "ssh",
    pattern: /no mutual signature/i,
    message: ({ dockerHost }, quote) =>
      `${dockerHost} knows only the old signatures of an RSA key: use a key of the kind ed25519, or allow them for this host in ${sshConfig} (PubkeyAcceptedAlgorithms +ssh-rsa) (${quote})`,
  },
  {
    only: "ssh",
    pattern: /tailnet policy|tailscale ssh requires|to authenticate, visit/i,
    message: ({ dockerHost }, quote) =>
      `Tailscale SSH at ${dockerHost} does not let this machine in without a question: allow it in the tailnet's policy (action "accept"), or use an ordinary ssh server (${quote})`,
  },
  {
    only: "ssh",
    pattern: /permission denied \([a-z0-9@.,-]+\)\.?$/i,
    message: ({ dockerHost }, quote) =>
      `ssh may not log in at ${dockerHost}: it needs a key that the machine knows (ssh-copy-id) and, for a key with a passphrase, an agent (eval $(ssh-agent); ssh-add); ssh without a question must work (${quote})`,
  },
  {
    only: "ssh",
    pattern: /no matching (host key type|key exchange method|cipher|mac) found/i,
    message: ({ dockerHost }, quote) =>
      `ssh here and the ssh server of ${dockerHost} share no algorithm: update that system, or allow its old one for this host in ${sshConfig} (${oldMethod(quote)}) (${quote})`,
  },
  {
    only: "ssh",
    pattern: /invalid key length/i,
    message: ({ dockerHost }, quote) =>
      `the RSA key of ${dockerHost} is too short for ssh here: make a new one there (ssh-keygen -A, after removing the old), or set RequiredRSASize 1024 for this host in ${sshConfig} (${quote})`,
  },
  {
    only: "ssh",
    pattern:
      /bad owner or permissions|bad configuration option|terminating, \d+ bad|percent_expand|^(\/\S+|command-line): line \d+: /i,
    message: ({ dockerHost }, quote) =>
      `ssh cannot use its own configuration, so ${dockerHost} was not reached: correct ${sshConfig} (${quote})`,
  },
  {
    only: "ssh",
    pattern:
      /banner line contains invalid|protocol major versions differ|invalid ssh identification/i,
    message: ({ dockerHost }, quote) =>
      `what answers at ${dockerHost} is no ssh server: correct the port (${quote})`,
  },
  {
    only: "ssh",
    pattern: /administratively prohibited/i,
    message: ({ dockerHost }, quote) =>
      `the jump host forbids forwarding to ${dockerHost}: AllowTcpForwarding yes in its sshd_config (${quote})`,
  },
  {
    pattern: /exec: "ssh": executable file not found/i,
    message: ({ dockerHost }) => `${dockerHost} needs ssh, which is not installed on this machine`,
  },
  {
    only: "ssh",
    pattern: noDocker,
    message: ({ dockerHost }, quote) =>
      `ssh reaches the machine of ${dockerHost}, but finds no docker (18.09 or newer) there: install it, or where ssh has another PATH, as on a Synology, run there sudo ln -s /usr/local/bin/docker /usr/bin/docker (${quote})`,
  },
  {
    only: "ssh",
    pattern: /(exec: \S+|^\S*sh: .*): (command )?not found$/i,
    message: ({ dockerHost }, quote) =>
      `ssh does not find the program that leads it to ${dockerHost}: install it here, or correct ProxyCommand in ${sshConfig} (${quote})`,
  },
  {
    only: "ssh",
    pattern:
      /a terminal is required|a password is required|password (has|is) expired|password change required|exec request failed|account (is|has) (currently )?(not available|expired|locked)/i,
    message: ({ dockerHost }, quote) =>
      `ssh may not run commands at ${dockerHost} with that user: ssh without a question must work (${quote})`,
  },
  {
    only: "ssh",
    pattern: /malformed http/i,
    message: ({ dockerHost }, quote) =>
      `the shell at ${dockerHost} prints something before Docker can answer: make its start-up files (.bashrc) silent, so that ssh there with the command true prints nothing (${quote})`,
  },
  {
    only: "tcp",
    pattern: /malformed http/i,
    message: ({ dockerHost }, quote) =>
      `what answers at ${dockerHost} is no Docker engine: correct the port, or reach an ssh server by ssh:// (${quote})`,
  },
  {
    pattern: /unable to parse docker host|invalid proto|invalid ssh url|invalid bind address/i,
    message: ({ dockerHost }, quote) =>
      `docker cannot read the address ${dockerHost}: correct dockerHost (${quote})`,
  },
  {
    pattern: /context .*not found/i,
    message: (_, quote) =>
      `the docker command-line client of this machine asks for a context that does not exist: unset DOCKER_CONTEXT, or docker context use default (${quote})`,
  },
  {
    pattern: /client version \S+ is too old|client is too old/i,
    message: ({ dockerHost }, quote) =>
      `the docker command-line client of this machine is too old for Docker at ${dockerHost}: upgrade the client (https://docs.docker.com/engine/install), and unset DOCKER_API_VERSION if it is set (${quote})`,
  },
  {
    pattern: /client version \S+ is too new|client is newer than server/i,
    message: ({ dockerHost }, quote) =>
      `Docker at ${dockerHost} is too old for this machine's docker command-line client: upgrade Docker there (${quote})`,
  },
  {
    pattern:
      /could not resolve hostname|no such host|name or service not known|name resolution|nodename nor servname|server misbehaving/i,
    unresolved: true,
    message: ({ dockerHost }, quote) =>
      `the host name in ${dockerHost} cannot be resolved: correct dockerHost, or give the machine's address (${quote})`,
  },
  {
    pattern: /\b(ca|cert|key)\.pem\b.*(no such file|permission denied|is a directory)/i,
    needsTls: true,
    message: ({ dockerHost, tls }, quote) =>
      `docker cannot read the certificates for ${dockerHost} in ${tls}: the folder needs ca.pem, cert.pem and key.pem, readable for this user (${quote})`,
  },
  {
    pattern: /permission denied/i,
    message: ({ dockerHost }, quote) =>
      `this user may not use Docker at ${dockerHost}: add the user to the group docker, or run as root (${quote})`,
  },
  {
    pattern: /HTTP request to an HTTPS server/i,
    message: ({ dockerHost }) =>
      `Docker at ${dockerHost} accepts only TLS: set tls to the folder with ca.pem, cert.pem and key.pem`,
  },
  {
    pattern: /HTTP response to HTTPS client/i,
    message: ({ dockerHost }) =>
      `Docker at ${dockerHost} does not use TLS: leave tls out, or switch TLS on there (https://docs.docker.com/engine/security/protect-access)`,
  },
  {
    pattern: /x509|certificate|tls:/i,
    needsTls: true,
    message: ({ dockerHost, tls }, quote) =>
      `Docker at ${dockerHost} and the certificates in ${tls} do not fit together: ca.pem must be of the authority that signed the engine's certificate, cert.pem and key.pem must be signed by the one the engine trusts (${quote})`,
  },
  {
    only: "tcp",
    pattern: /\b40[13]\b|forbidden|unauthorized|authentication required/i,
    message: ({ dockerHost }, quote) =>
      `a proxy before Docker at ${dockerHost} forbids the question: it must allow info, containers, images, networks and volumes, also to change them (docker-socket-proxy: INFO, CONTAINERS, IMAGES, NETWORKS, VOLUMES, EXEC, BUILD and POST set to 1) (${quote})`,
  },
  {
    only: "ssh",
    pattern: /host key verification failed/i,
    message: ({ dockerHost }) =>
      `the ssh key of ${dockerHost} (or of its jump host) is not known: connect once by hand with ssh and accept it`,
  },
];

/** The setting of ssh that allows an old method, with the one that the server offers. */
function oldMethod(quote: string): string {
  const [, offer = "…"] = /their offer: ([\w@.-]+)/i.exec(quote) ?? [];
  if (/key exchange/i.test(quote)) return `KexAlgorithms +${offer}`;
  if (/cipher/i.test(quote)) return `Ciphers +${offer}`;
  if (/mac found/i.test(quote)) return `MACs +${offer}`;
  return "HostKeyAlgorithms +ssh-rsa, PubkeyAcceptedAlgorithms +ssh-rsa";
}

/** How ssh's list of known machines calls it. */
function knownAs(dockerHost: string): string {
  const { hostname, port } = new URL(dockerHost);
  const bare = bareHostname(hostname);
  return port === "" || port === "22" ? bare : `'[${bare}]:${port}'`;
}

/** What says nothing of the reason: warnings of the client, and the last words of ssh behind a jump host. */
const emptyWords =
  /^(WARNING: (Error loading|Plugin)|DEPRECATED|time=|stdio forwarding failed|Connection closed by UNKNOWN)/;

/**
 * Why an engine did not answer and what to do.
 *
 * @param code of the docker client
 * @param printed its error, or what ssh printed through it
 */
export function explainFailure(
  code: number,
  printed: string,
  address: EngineAddress,
): { readonly message: string; readonly unreachable: boolean; readonly unresolved?: boolean } {
  const { dockerHost, tls } = address;
  if (code === 127) {
    const message =
      "the docker command-line client is not installed on this machine: https://docs.docker.com/engine/install";
    return { message, unreachable: false };
  }
  if (code === 124)
    return { message: `Docker at ${dockerHost} does not answer`, unreachable: true };
  // Over ssh the client wraps ssh's own message into a long sentence.
  const said = lines(printed.split("stderr=").at(-1)!)
    .filter((line) => !emptyWords.test(line))
    .map((line) => sanitize(line, maxQuoteLength));
  for (const known of knownFailures) {
    const isOther = known.only !== undefined && !dockerHost.startsWith(`${known.only}://`);
    if (isOther || (known.needsTls && tls === undefined)) continue;
    const quote = said.find((line) => known.pattern.test(line));
    if (quote === undefined) continue;
    const message = known.message(address, quote);
    return known.unresolved
      ? { message, unreachable: true, unresolved: true }
      : { message, unreachable: false };
  }
  const message = `Docker at ${dockerHost} does not answer: start it, or correct dockerHost (${said.at(-1) ?? "no reason given"})`;
  return { message, unreachable: true };
}
