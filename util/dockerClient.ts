/** How a Docker engine is reached. */
export interface EngineAddress {
  /** `unix://…`, `ssh://…` or `tcp://…`. */
  readonly dockerHost: string;
  /** For `tcp://`: a folder with ca.pem, cert.pem and key.pem; without it nothing is encrypted. */
  readonly tls?: string | undefined;
}

/** Whether two addresses lead to one engine; two users of a machine may have one each. */
export function isSameEngine(left: string, right: string): boolean {
  return engineOf(left) === engineOf(right);
}

/** An address in the one spelling that all its spellings share. */
export function engineOf(dockerHost: string): string {
  if (dockerHost.startsWith("unix://")) {
    return dockerHost.replace(/^unix:\/\/\/run\//, "unix:///var/run/");
  }
  if (!URL.canParse(dockerHost)) return dockerHost;
  const { protocol, username, hostname, port, pathname } = new URL(dockerHost);
  const given = protocol === "ssh:" && port === "22" ? "" : port;
  return `${protocol}//${username}@${hostname.toLowerCase()}:${given}${pathname.replace(/\/$/, "")}`;
}

/** The machine under an engine, by its name; empty for this one, which several addresses may lead to. */
export function machineOf(dockerHost: string): string {
  const { protocol, hostname } = URL.canParse(dockerHost) ? new URL(dockerHost) : {};
  const isHere = protocol === "unix:" || /^(localhost|127\.[\d.]+|\[::1\]|)$/i.test(hostname ?? "");
  return isHere ? "" : hostname!.toLowerCase();
}

/** The files of such a folder, as the docker client names them. */
export const tlsFiles = ["ca.pem", "cert.pem", "key.pem"] as const;

/** The variables that lead the docker command-line client to an engine. */
export function dockerClientEnvironment<Text>({
  dockerHost,
  tls,
}: {
  readonly dockerHost?: Text | undefined;
  readonly tls?: Text | undefined;
}): Record<string, Text | string> {
  if (dockerHost === undefined) return {};
  return {
    DOCKER_HOST: dockerHost,
    ...(tls !== undefined && { DOCKER_TLS_VERIFY: "1", DOCKER_CERT_PATH: tls }),
  };
}

/** The engine to which such variables lead; undefined where they name none. */
export function addressIn(environment: unknown): EngineAddress | undefined {
  const { DOCKER_HOST: dockerHost, DOCKER_CERT_PATH: tls } = (environment ?? {}) as Partial<
    Record<string, unknown>
  >;
  if (typeof dockerHost !== "string" || dockerHost === "") return undefined;
  return { dockerHost, ...(typeof tls === "string" && { tls }) };
}

/** Whether the text is a name or id that the docker client cannot take for an option. */
export function isDockerName(text: string): boolean {
  return /^[A-Za-z0-9][A-Za-z0-9_.-]*$/.test(text);
}
