import {
  commandTypes,
  containerSpec,
  containerType,
  type Inputs,
  list,
  object,
  serviceType,
  text,
  volumeType,
} from "./inputs";
import { isSingleAddress, privileges, unconfined, volumeDeviceProblem } from "./privileges";

/*
 * What is checked of a resource, as plain functions of its inputs. Each returns what is wrong, a sentence
 * each; nothing where all is well.
 */

export {
  commandTypes,
  containerType,
  type Inputs,
  privileges,
  serviceType,
  unconfined,
  volumeType,
};

/** A resource as a stack's policy sees it. */
export interface StackResource {
  readonly type: string;
  readonly name: string;
  readonly urn: string;
  readonly props: Inputs;
  readonly isProtected: boolean;
  readonly parentUrn: string | undefined;
}

/** A volume of the local driver can be a folder of the host by another name. */
export function volumeOfHost(_type: string, props: Inputs): string[] {
  return volumeDeviceProblem(props["driverOpts"], false);
}

/** Ports that are open on every interface of the host. */
export function openPorts(type: string, props: Inputs): string[] {
  if (type === serviceType) {
    const networks = list(object(props["taskSpec"])["networksAdvanceds"]).map(object);
    const joinsHost = networks.some(({ name, id }) => name === "host" || id === "host");
    // A service's port has no address: Swarm opens it on every node and interface.
    const ports = list(object(props["endpointSpec"])["ports"]).map(
      (port) => `port ${text(object(port)["publishedPort"])} is published by the service`,
    );
    return [...(joinsHost ? ["the service is on the host's network"] : []), ...ports];
  }
  const found: string[] = [];
  const networks = list(props["networksAdvanced"]).map((network) => object(network)["name"]);
  if (props["networkMode"] === "host" || networks.includes("host"))
    found.push("networkMode is host, so every port is open");
  if (props["publishAllPorts"] === true) found.push("publishAllPorts is true");
  for (const port of list(props["ports"])) {
    const { ip, external, internal } = object(port);
    if (isSingleAddress(ip ?? "")) continue;
    const which = external === undefined ? text(internal) : text(external);
    found.push(`port ${which} is open on ${ip ? text(ip) : "every interface (it has no ip)"}`);
  }
  return found;
}

/** A health check that is missing or runs nothing. */
export function missingHealthCheck(type: string, props: Inputs): string[] {
  const spec = type === serviceType ? containerSpec(props) : props;
  const [how, ...command] = list(object(spec["healthcheck"])["tests"]);
  if (how === undefined) return ["healthcheck is missing"];
  if (how === "NONE") return ["healthcheck switches the image's own off"];
  const runs = (how === "CMD" || how === "CMD-SHELL") && text(command[0] ?? "").trim() !== "";
  return runs ? [] : [`healthcheck.tests is ${text([how, ...command])}, which runs nothing`];
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
 * it keeps it: the engine does not pass `retainOnDelete` to policies.
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
