import { expect, it } from "vitest";

import { explainFailure } from "../../util/engineFailures";

/** What the docker client, OpenSSH and shells print, and what it is: a mistake, a machine that is off, a name that nobody knows. */
const addresses = {
  local: { dockerHost: "unix:///var/run/docker.sock" },
  ssh: { dockerHost: "ssh://pi@box" },
  tcp: { dockerHost: "tcp://192.168.1.5:2375" },
  tls: { dockerHost: "tcp://192.168.1.5:2376", tls: "/certs" },
} as const;

const failures: readonly (readonly [
  kind: "mistake" | "off" | "noname",
  address: keyof typeof addresses,
  printed: string,
  message: RegExp,
])[] = [
  ["mistake", "ssh", "Host key verification failed.", /not known|accept/],
  [
    "mistake",
    "ssh",
    "@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@\r\n@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @\r\n@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@\r\nIT IS POSSIBLE THAT SOMEONE IS DOING SOMETHING NASTY!\r\nOffending ECDSA key in /home/pi/.ssh/known_hosts:3\r\nHost key for box has changed and you have requested strict checking.\r\nHost key verification failed.",
    /ssh-keygen -R/,
  ],
  [
    "mistake",
    "ssh",
    "No ED25519 host key is known for box and you have requested strict checking.\r\nHost key verification failed.",
    /not known|accept/,
  ],
  ["mistake", "ssh", "pi@box: Permission denied (publickey,password).", /ssh-copy-id/],
  ["mistake", "ssh", "pi@box: Permission denied (publickey,keyboard-interactive).", /ssh-copy-id/],
  ["mistake", "ssh", "pi@box: Permission denied (gssapi-keyex,gssapi-with-mic).", /ssh-copy-id/],
  ["mistake", "ssh", "pi@box: Permission denied (hostbased).", /ssh-copy-id/],
  ["mistake", "ssh", "pi@box: Permission denied (none).", /ssh-copy-id|ssh may not/],
  [
    "mistake",
    "ssh",
    "Received disconnect from 192.168.1.5 port 22:2: Too many authentication failures\r\nDisconnected from 192.168.1.5 port 22",
    /IdentitiesOnly|ssh-copy-id/,
  ],
  [
    "mistake",
    "ssh",
    "@@@@@@@@@\r\n@         WARNING: UNPROTECTED PRIVATE KEY FILE!          @\r\n@@@@@@@@@\r\nPermissions 0644 for '/home/pi/.ssh/id_ed25519' are too open.\r\nIt is required that your private key files are NOT accessible by others.\r\nThis private key will be ignored.\r\nLoad key \"/home/pi/.ssh/id_ed25519\": bad permissions\r\npi@box: Permission denied (publickey).",
    /chmod 600/,
  ],
  [
    "mistake",
    "ssh",
    'Load key "/home/pi/.ssh/id_rsa": error in libcrypto\r\npi@box: Permission denied (publickey).',
    /key/,
  ],
  [
    "mistake",
    "ssh",
    'Load key "/home/pi/.ssh/id_rsa": invalid format\r\npi@box: Permission denied (publickey).',
    /key/,
  ],
  [
    "mistake",
    "ssh",
    "sign_and_send_pubkey: no mutual signature supported\r\npi@box: Permission denied (publickey).",
    /ssh-rsa|key/,
  ],
  ["mistake", "ssh", "Bad owner or permissions on /home/pi/.ssh/config", /config/],
  [
    "mistake",
    "ssh",
    "/home/pi/.ssh/config: line 3: Bad configuration option: usekeychain\r\n/home/pi/.ssh/config: terminating, 1 bad configuration options",
    /config/,
  ],
  ["mistake", "ssh", "command-line: line 0: Bad configuration option: foo", /config/],
  [
    "mistake",
    "ssh",
    "Unable to negotiate with 192.168.1.5 port 22: no matching host key type found. Their offer: ssh-rsa,ssh-dss",
    /ssh-rsa/,
  ],
  [
    "mistake",
    "ssh",
    "Unable to negotiate with 192.168.1.5 port 22: no matching key exchange method found. Their offer: diffie-hellman-group1-sha1",
    /KexAlgorithms/,
  ],
  [
    "mistake",
    "ssh",
    "Unable to negotiate with 192.168.1.5 port 22: no matching cipher found. Their offer: aes128-cbc",
    /Ciphers/,
  ],
  [
    "mistake",
    "ssh",
    "Unable to negotiate with 192.168.1.5 port 22: no matching MAC found. Their offer: hmac-md5",
    /MACs/,
  ],
  ["mistake", "ssh", "Bad server host key: Invalid key length", /key/],
  ["off", "ssh", "ssh: connect to host box port 22: Connection refused", /does not answer/],
  ["off", "ssh", "ssh: connect to host box port 22: No route to host", /does not answer/],
  ["off", "ssh", "ssh: connect to host box port 22: Connection timed out", /does not answer/],
  ["off", "ssh", "ssh: connect to host box port 22: Operation timed out", /does not answer/],
  ["off", "ssh", "ssh: connect to host box port 22: Network is unreachable", /does not answer/],
  [
    "off",
    "ssh",
    "Connection timed out during banner exchange\r\nConnection to 192.168.1.5 port 22 timed out",
    /does not answer/,
  ],
  [
    "off",
    "ssh",
    "kex_exchange_identification: Connection closed by remote host\r\nConnection closed by 192.168.1.5 port 22",
    /does not answer/,
  ],
  ["off", "ssh", "kex_exchange_identification: read: Connection reset by peer", /does not answer/],
  [
    "off",
    "ssh",
    "ssh_exchange_identification: Connection closed by remote host",
    /does not answer/,
  ],
  [
    "mistake",
    "ssh",
    "kex_exchange_identification: banner line contains invalid characters",
    /port|no ssh/,
  ],
  [
    "off",
    "ssh",
    "ssh_dispatch_run_fatal: Connection to 192.168.1.5 port 22: Broken pipe",
    /does not answer/,
  ],
  ["off", "ssh", "Connection closed by 192.168.1.5 port 22", /does not answer/],
  ["off", "ssh", "Not allowed at this time", /does not answer/],
  [
    "noname",
    "ssh",
    "ssh: Could not resolve hostname box: Name or service not known",
    /cannot be resolved/,
  ],
  ["noname", "ssh", "ssh: Could not resolve hostname box: Try again", /cannot be resolved/],
  [
    "noname",
    "ssh",
    "ssh: Could not resolve hostname box: nodename nor servname provided, or not known",
    /cannot be resolved/,
  ],
  [
    "noname",
    "ssh",
    "ssh: Could not resolve hostname box: Temporary failure in name resolution",
    /cannot be resolved/,
  ],
  [
    "noname",
    "ssh",
    "ssh: Could not resolve hostname box: No address associated with hostname",
    /cannot be resolved/,
  ],
  [
    "noname",
    "ssh",
    "ssh: Could not resolve hostname jump.lan: Name or service not known\r\nkex_exchange_identification: Connection closed by remote host\r\nConnection closed by UNKNOWN port 65535",
    /jump\.lan/,
  ],
  [
    "mistake",
    "ssh",
    "pi@jump.lan: Permission denied (publickey).\r\nkex_exchange_identification: Connection closed by remote host\r\nConnection closed by UNKNOWN port 65535",
    /ssh-copy-id/,
  ],
  [
    "mistake",
    "ssh",
    "channel 0: open failed: administratively prohibited: open failed\r\nstdio forwarding failed\r\nConnection closed by UNKNOWN port 65535",
    /forward/i,
  ],
  [
    "off",
    "ssh",
    "channel 0: open failed: connect failed: Connection refused\r\nstdio forwarding failed\r\nConnection closed by UNKNOWN port 65535",
    /does not answer/,
  ],
  [
    "mistake",
    "ssh",
    "Host key verification failed.\r\nkex_exchange_identification: Connection closed by remote host\r\nConnection closed by UNKNOWN port 65535",
    /not known|accept/,
  ],
  [
    "mistake",
    "ssh",
    "/bin/bash: line 1: exec: cloudflared: not found\r\nkex_exchange_identification: Connection closed by remote host\r\nConnection closed by UNKNOWN port 65535",
    /cloudflared|ProxyCommand/,
  ],
  ["mistake", "ssh", "This account is currently not available.", /run commands|without a question/],
  [
    "mistake",
    "ssh",
    "WARNING: Your password has expired.\r\nPassword change required but no TTY available.",
    /run commands|password/,
  ],
  [
    "mistake",
    "ssh",
    "Your account has expired; please contact your system administrator.",
    /run commands|account/,
  ],
  [
    "off",
    "ssh",
    "System is booting up. Unprivileged users are not permitted to log in yet. Please come back later. For technical details, see pam_nologin(8).",
    /does not answer/,
  ],
  ["mistake", "ssh", "bash: line 1: docker: command not found", /finds no docker/],
  ["mistake", "ssh", "sh: docker: command not found", /finds no docker/],
  [
    "mistake",
    "ssh",
    "'docker' is not recognized as an internal or external command,\r\noperable program or batch file.",
    /finds no docker/,
  ],
  ["mistake", "ssh", "fish: Unknown command: docker", /finds no docker/],
  ["mistake", "ssh", "zsh:1: command not found: docker", /finds no docker/],
  ["mistake", "ssh", "env: ‘docker’: No such file or directory", /finds no docker/],
  ["mistake", "ssh", "docker: 'dial-stdio' is not a docker command.", /18\.09/],
  [
    "mistake",
    "ssh",
    "permission denied while trying to connect to the Docker daemon socket at unix:///var/run/docker.sock: dial unix /var/run/docker.sock: connect: permission denied",
    /group docker/,
  ],
  [
    "off",
    "ssh",
    "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?",
    /does not answer/,
  ],
  ["mistake", "ssh", "exec request failed on channel 0", /command/],
  ["mistake", "ssh", "sudo: a password is required", /without a question|password/],
  ["mistake", "ssh", "percent_expand: unknown key %h", /config|%h/],
  [
    "mistake",
    "ssh",
    "no such identity: /home/pi/.ssh/id_nas: No such file or directory\r\npi@box: Permission denied (publickey).",
    /ssh-copy-id|key/,
  ],
  [
    "mistake",
    "ssh",
    "Enter passphrase for key '/home/pi/.ssh/id_ed25519': \r\npi@box: Permission denied (publickey).",
    /ssh-agent/,
  ],
  [
    "mistake",
    "ssh",
    "# Tailscale SSH requires an additional check.\r\n# To authenticate, visit: https://login.tailscale.com/a/xyz",
    /tailscale|authenticate/i,
  ],
  [
    "mistake",
    "ssh",
    "tailscale: tailnet policy does not permit you to SSH to this node\r\nConnection closed by 100.64.0.5 port 22",
    /policy/,
  ],
  [
    "mistake",
    "tls",
    'error during connect: Get "https://192.168.1.5:2376/v1.24/info": x509: certificate signed by unknown authority',
    /ca\.pem/,
  ],
  [
    "mistake",
    "tls",
    'error during connect: Get "https://192.168.1.5:2376/v1.24/info": tls: failed to verify certificate: x509: certificate is valid for 127.0.0.1, not 192.168.1.5',
    /certificate/,
  ],
  [
    "mistake",
    "tls",
    'error during connect: Get "https://192.168.1.5:2376/v1.24/info": tls: failed to verify certificate: x509: certificate has expired or is not yet valid: current time 2026-11-28T14:00:00Z is after 2025-01-01T00:00:00Z',
    /certificate/,
  ],
  [
    "mistake",
    "tls",
    'error during connect: Get "https://192.168.1.5:2376/v1.24/info": remote error: tls: bad certificate',
    /cert\.pem/,
  ],
  [
    "mistake",
    "tls",
    'error during connect: Get "https://192.168.1.5:2376/v1.24/info": remote error: tls: certificate required',
    /cert\.pem/,
  ],
  [
    "mistake",
    "tls",
    "unable to resolve docker endpoint: open /certs/ca.pem: no such file or directory",
    /ca\.pem/,
  ],
  [
    "mistake",
    "tls",
    "Failed to initialize: unable to resolve docker endpoint: open /certs/ca.pem: no such file or directory",
    /ca\.pem/,
  ],
  [
    "mistake",
    "tls",
    "unable to resolve docker endpoint: could not load X509 key pair: tls: private key does not match public key",
    /key\.pem/,
  ],
  [
    "mistake",
    "tls",
    'unable to resolve docker endpoint: could not read CA certificate "/certs/ca.pem": open /certs/ca.pem: permission denied',
    /ca\.pem/,
  ],
  ["mistake", "tcp", "Client sent an HTTP request to an HTTPS server.", /accepts only TLS/],
  [
    "mistake",
    "tcp",
    "Error response from daemon: Client sent an HTTP request to an HTTPS server.",
    /accepts only TLS/,
  ],
  [
    "mistake",
    "tls",
    'error during connect: Get "https://192.168.1.5:2375/v1.24/info": http: server gave HTTP response to HTTPS client',
    /does not use TLS/,
  ],
  [
    "off",
    "tcp",
    "Cannot connect to the Docker daemon at tcp://192.168.1.5:2375. Is the docker daemon running?",
    /does not answer/,
  ],
  [
    "noname",
    "tcp",
    'error during connect: Get "http://nas:2375/v1.24/info": dial tcp: lookup nas on 192.168.1.1:53: no such host',
    /cannot be resolved/,
  ],
  [
    "noname",
    "tcp",
    'error during connect: Get "http://nas:2375/v1.24/info": dial tcp: lookup nas: Temporary failure in name resolution',
    /cannot be resolved/,
  ],
  [
    "noname",
    "tcp",
    'error during connect: Get "http://nas:2375/v1.24/info": dial tcp: lookup nas on 127.0.0.11:53: server misbehaving',
    /cannot be resolved/,
  ],
  [
    "off",
    "tcp",
    'error during connect: Get "http://192.168.1.5:2375/v1.24/info": dial tcp 192.168.1.5:2375: i/o timeout',
    /does not answer/,
  ],
  [
    "off",
    "tcp",
    'error during connect: Get "http://192.168.1.5:2375/v1.24/info": EOF',
    /does not answer/,
  ],
  [
    "mistake",
    "tcp",
    'error during connect: Get "http://192.168.1.5:22/v1.24/info": net/http: HTTP/1.x transport connection broken: malformed HTTP response "SSH-2.0-OpenSSH_9.2p1"',
    /ssh:\/\/|port/,
  ],
  [
    "mistake",
    "tcp",
    "Error response from daemon: <html><body><h1>403 Forbidden</h1>\nRequest forbidden by administrative rules.\n</body></html>",
    /forbid|proxy/i,
  ],
  [
    "off",
    "local",
    "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?",
    /does not answer/,
  ],
  [
    "off",
    "local",
    "failed to connect to the docker API at unix:///var/run/docker.sock; check if the path is correct and if the daemon is running: dial unix /var/run/docker.sock: connect: no such file or directory",
    /does not answer/,
  ],
  [
    "mistake",
    "local",
    "permission denied while trying to connect to the docker API at unix:///var/run/docker.sock",
    /group docker/,
  ],
  [
    "mistake",
    "local",
    'Got permission denied while trying to connect to the Docker daemon socket at unix:///var/run/docker.sock: Get "http://%2Fvar%2Frun%2Fdocker.sock/v1.24/info": dial unix /var/run/docker.sock: connect: permission denied',
    /group docker/,
  ],
  [
    "mistake",
    "local",
    "Error response from daemon: client version 1.41 is too old. Minimum supported API version is 1.44, please upgrade your client to a newer version",
    /too old/,
  ],
  [
    "mistake",
    "local",
    "Error response from daemon: client version 1.52 is too new. Maximum supported API version is 1.41",
    /upgrade Docker/,
  ],
  [
    "mistake",
    "local",
    'unable to resolve docker endpoint: context "desktop-linux": context not found: open /home/pi/.docker/contexts/meta/fe9c/meta.json: no such file or directory',
    /context/,
  ],
  [
    "off",
    "local",
    "WARNING: Error loading config file: /home/pi/.docker/config.json: EOF\nCannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?",
    /does not answer/,
  ],
  [
    "mistake",
    "local",
    "invalid proto, expected tcp: npipe:////./pipe/docker_engine",
    /dockerHost|address/,
  ],
  ["mistake", "local", "unable to parse docker host `192.168.1.5`", /dockerHost|address/],
  [
    "off",
    "local",
    "Cannot connect to the Docker daemon at unix:///run/user/1000/docker.sock. Is the docker daemon running?",
    /does not answer/,
  ],
  [
    "mistake",
    "ssh",
    'error during connect: Get "http://docker.example.com/v1.24/info": exec: "ssh": executable file not found in $PATH',
    /needs ssh/,
  ],
  [
    "mistake",
    "ssh",
    'error during connect: Get "http://docker/v1.40/info": net/http: HTTP/1.x transport connection broken: malformed HTTP status code "pid"',
    /prints|shell|bashrc/,
  ],
  [
    "mistake",
    "ssh",
    'error during connect: Get "http://docker.example.com/v1.24/info": net/http: HTTP/1.x transport connection broken: malformed HTTP response "Welcome to box"',
    /prints|shell|bashrc/,
  ],
  [
    "mistake",
    "ssh",
    "unable to parse docker host: invalid ssh URL: plain-text password is not supported",
    /password/,
  ],
];

it.each(failures)("%s at %s: %j", (kind, address, printed, expected) => {
  const wrapped = `error during connect: Get "http://docker.example.com/v1.24/info": command [ssh -l pi -- box docker system dial-stdio] has exited with exit status 255, make sure the URL is valid, and Docker 18.09 or later is installed on the remote host: stderr=${printed}\n`;
  const isOfClient = address !== "ssh" || printed.startsWith("error during connect");
  const found = explainFailure(1, isOfClient ? printed : wrapped, addresses[address]);
  expect(found.message).toMatch(expected);
  expect({ off: found.unreachable, noname: found.unresolved ?? false }).toEqual({
    off: kind !== "mistake",
    noname: kind === "noname",
  });
});

it("an ssh key that changed is not to be accepted unseen, and is named as ssh knows it", () => {
  const printed =
    "Host key for [box]:2222 has changed and you have requested strict checking.\r\nHost key verification failed.";
  const { message } = explainFailure(1, printed, { dockerHost: "ssh://pi@box:2222" });
  expect(message).toContain("ssh-keygen -R '[box]:2222'");
  expect(message).not.toContain("accept");
});

it("a login banner that speaks of authorisation does not hide the reason", () => {
  const printed =
    "stderr=Unauthorized access is forbidden.\r\nssh: connect to host box port 22: Connection refused";
  expect(explainFailure(1, printed, { dockerHost: "ssh://pi@box" }).unreachable).toBe(true);
});
