/*
 * What is checked of a resource, as plain functions of what the engine hands over: its inputs, under
 * the names the Docker and Command providers give them. Each answers with what is wrong, a sentence
 * each; with nothing where all is well.
 */

/** A resource's inputs, of whatever provider. */
export type Inputs = Readonly<Record<string, unknown>>;

/** A resource as a stack's policy sees it. */
export interface StackResource {
  readonly type: string;
  readonly name: string;
  readonly urn: string;
  readonly props: Inputs;
  readonly isProtected: boolean;
  readonly parentUrn: string | undefined;
}

export const containerType = "docker:index/container:Container";
export const serviceType = "docker:index/service:Service";
export const commandTypes: readonly string[] = ["command:local:Command", "command:remote:Command"];
const volumeType = "docker:index/volume:Volume";

/** Capabilities with which a container leaves itself (capabilities(7)). */
const hostCapabilities = ["ALL", "SYS_ADMIN", "SYS_MODULE", "SYS_PTRACE", "SYS_RAWIO"];

/** Rights over the host: `privileged`, capabilities, the host's processes, the engine's socket. */
export function privileges(type: string, props: Inputs): string[] {
  const found: string[] = [];
  if (props["privileged"] === true) found.push("privileged is true");
  const adds = list(object(props["capabilities"])["adds"]).map(String);
  const strong = adds.filter((name) => hostCapabilities.includes(name.replace(/^CAP_/, "")));
  if (strong.length > 0) found.push(`capabilities.adds has ${strong.join(", ")}`);
  for (const mode of ["pidMode", "ipcMode", "usernsMode"]) {
    if (props[mode] === "host") found.push(`${mode} is host`);
  }
  const spec = type === serviceType ? containerSpec(props) : props;
  const paths = [...list(spec["mounts"]), ...list(spec["volumes"])].flatMap((mount) => {
    const { source, hostPath } = object(mount);
    return [source, hostPath].filter((path) => typeof path === "string");
  });
  if (paths.some((path) => /(^|\/)docker\.sock$/.test(path))) {
    found.push("the engine's socket is mounted, which is root on the host");
  }
  return found;
}

const everywhere: readonly unknown[] = [undefined, "", "0.0.0.0", "::", "[::]", "*"];

/** Ports that are open on every interface of the host. */
export function openPorts(type: string, props: Inputs): string[] {
  if (type === serviceType) {
    // A service's port has no address: Swarm opens it on every node and interface.
    return list(object(props["endpointSpec"])["ports"]).map(
      (port) => `port ${text(object(port)["publishedPort"])} is published by the service`,
    );
  }
  const found: string[] = [];
  if (props["networkMode"] === "host") found.push("networkMode is host, so every port is open");
  if (props["publishAllPorts"] === true) found.push("publishAllPorts is true");
  for (const port of list(props["ports"])) {
    const { ip, external, internal } = object(port);
    if (!everywhere.includes(ip)) continue;
    const which = external === undefined ? text(internal) : text(external);
    found.push(`port ${which} is open on ${ip ? text(ip) : "every interface (it has no ip)"}`);
  }
  return found;
}

/** A missing health check. */
export function missingHealthCheck(type: string, props: Inputs): string[] {
  const spec = type === serviceType ? containerSpec(props) : props;
  const tests = list(object(spec["healthcheck"])["tests"]);
  if (tests.length === 0) return ["healthcheck is missing"];
  return tests[0] === "NONE" ? ["healthcheck switches the image's own off"] : [];
}

/** An image by a name that may be another one tomorrow. */
export function movingImage(type: string, props: Inputs): string[] {
  const image = type === serviceType ? containerSpec(props)["image"] : props["image"];
  const isFixed =
    typeof image === "string" && /^sha256:[0-9a-f]{64}$|@sha256:[0-9a-f]{64}$/.test(image);
  return isFixed ? [] : [`image is ${text(image)}, neither an id nor a digest`];
}

/** `DB_PASSWORD`, `HF_TOKEN`, `immichApiKey`; not `KEYBOARD`, nor `DB_PASSWORD_FILE`. */
const secretName = /(pass(word|wd|phrase)?|token|secret|credentials?|(^|_)key|api_?key)$/i;

/** Secrets among the variables of a container, service or command. Their values are not repeated. */
export function plainSecrets(type: string, props: Inputs): string[] {
  if (type === containerType) {
    return list(props["envs"])
      .map((line) => text(line).split("="))
      .filter(([name = "", ...value]) => secretName.test(name) && value.join("") !== "")
      .map(([name]) => holdsValue(name!));
  }
  const variables = object(
    type === serviceType ? containerSpec(props)["env"] : props["environment"],
  );
  return Object.keys(variables)
    .filter((name) => secretName.test(name) && variables[name] !== "")
    .map(holdsValue);
}

function holdsValue(name: string): string {
  return `the variable ${name} holds its value`;
}

/**
 * Volumes that go with the stack. One stays where it is protected, or where the component that made
 * it says that it keeps it: the engine does not tell policies of `retainOnDelete`.
 */
export function unkeptVolumes(resources: readonly StackResource[]): StackResource[] {
  const keepers = new Set(
    resources.filter(({ props }) => props["retained"] === true).map(({ urn }) => urn),
  );
  return resources.filter(
    ({ type, isProtected, parentUrn }) =>
      type === volumeType && !isProtected && !(parentUrn && keepers.has(parentUrn)),
  );
}

function containerSpec(props: Inputs): Inputs {
  return object(object(props["taskSpec"])["containerSpec"]);
}

function object(value: unknown): Inputs {
  return typeof value === "object" && value !== null ? (value as Inputs) : {};
}

function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? (value as unknown[]) : [];
}

function text(value: unknown): string {
  return typeof value === "string" ? value : (JSON.stringify(value) ?? "nothing");
}
