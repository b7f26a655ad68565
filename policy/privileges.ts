import { isIP } from "node:net";
import { posix } from "node:path";

import { containerSpec, type Inputs, list, object, serviceType, text } from "./inputs";

/*
 * What a container may be given of its host. Lists of what is allowed: a right that nobody thought of is
 * refused. Every value is normalised before it is compared.
 */

/** Docker's default capabilities, less MKNOD, which makes device nodes. */
const allowedCapabilities = new Set([
  "AUDIT_WRITE",
  "CHOWN",
  "DAC_OVERRIDE",
  "FOWNER",
  "FSETID",
  "KILL",
  "NET_BIND_SERVICE",
  "NET_RAW",
  "SETFCAP",
  "SETGID",
  "SETPCAP",
  "SETUID",
  "SYS_CHROOT",
]);

/** Namespaces that a container may have; anything else is the host's or another container's. */
const allowedModes: Readonly<Record<string, readonly string[]>> = {
  pidMode: [""],
  ipcMode: ["", "none", "private", "shareable"],
  usernsMode: [""],
  cgroupnsMode: ["", "private"],
};

/** Device nodes of accelerators. */
const allowedDevices =
  /^\/dev\/(dri|kfd|dxg|mali\d*|nvidia[\w-]*|dma_heap|rga|mpp_service|bus\/usb|accel)(\/[\w.:-]+)*$/;

/** The rule of Immich's compose file for USB devices (major number 189). */
const allowedDeviceRules = ["c 189:* rmw"];

const allowedSecurityOptions = /^(no-new-privileges(:true)?|label[=:](?!disable)[\w:.,-]+)$/;

/** Where people keep data, at least one folder below; a cache may be there. */
const dataFolder =
  /^\/(mnt|media|srv|data|home|opt|share|storage|tank|pool|volume\d*|var\/lib\/immich)(\/[^/]+)+$/;

/** Programs and firmware of an accelerator, which a container may read. */
const libraryFolder = /^\/(usr\/lib|usr\/local\/lib|usr\/share|lib\/firmware)(\/[^/]+)+$/;

/** Rights over the host, a sentence each. */
export function privileges(type: string, props: Inputs): string[] {
  return type === serviceType
    ? servicePrivileges(containerSpec(props))
    : containerPrivileges(props);
}

function containerPrivileges(props: Inputs): string[] {
  const modes = Object.entries(allowedModes).flatMap(([name, allowed]) => {
    const value = props[name] ?? "";
    return allowed.includes(text(value)) ? [] : [`${name} is ${text(value)}`];
  });
  const devices = list(props["devices"])
    .map((device) => normalPath(object(device)["hostPath"]))
    .filter((path) => !allowedDevices.test(path));
  const rules = list(props["deviceCgroupRules"])
    .map(text)
    .filter((rule) => !allowedDeviceRules.includes(rule.trim()));
  return [
    ...(props["privileged"] === undefined || props["privileged"] === false
      ? []
      : ["privileged is true"]),
    ...capabilities("capabilities.adds", object(props["capabilities"])["adds"]),
    ...modes,
    ...each("devices has", devices),
    ...each("deviceCgroupRules has", rules),
    ...mounts([...list(props["mounts"]), ...list(props["volumes"])]),
  ];
}

/** Security options that take a confinement away. */
export function unconfined(type: string, props: Inputs): string[] {
  if (type === serviceType) return [];
  const options = list(props["securityOpts"])
    .map((option) => text(option).trim().toLowerCase())
    .filter((option) => !allowedSecurityOptions.test(option));
  return each("securityOpts has", options);
}

function servicePrivileges(spec: Inputs): string[] {
  return [...capabilities("capAdds", spec["capAdds"]), ...mounts(list(spec["mounts"]))];
}

function capabilities(field: string, adds: unknown): string[] {
  const names = list(adds)
    .map((name) => text(name).trim().toUpperCase().replace(/^CAP_/, ""))
    .filter((name) => !allowedCapabilities.has(name));
  return each(`${field} has`, names);
}

function mounts(entries: readonly unknown[]): string[] {
  return entries.flatMap((entry) => {
    const mount = object(entry);
    if (mount["fromContainer"])
      return [`volumes has those of the container ${text(mount["fromContainer"])}`];
    const isReadOnly = mount["readOnly"] === true;
    return [
      ...hostPathProblem(mount["source"], isReadOnly),
      ...hostPathProblem(mount["hostPath"], isReadOnly),
      ...volumeDeviceProblem(object(mount["volumeOptions"])["driverOptions"], isReadOnly),
    ];
  });
}

/** The local driver mounts whatever its options name: a share of the network, or a folder of the host. */
export function volumeDeviceProblem(driverOptions: unknown, isReadOnly: boolean): string[] {
  const { type, o: options, device } = object(driverOptions);
  const isBind = /(^|,)r?bind(,|$)/.test(text(options ?? ""));
  const isShare = /^(nfs4?|cifs)$/.test(text(type ?? "")) && !isBind;
  return isShare ? [] : hostPathProblem(device, isReadOnly);
}

/** What is wrong with mounting a path of the host; a volume's name has no slash. */
function hostPathProblem(path: unknown, isReadOnly: boolean): string[] {
  if (typeof path !== "string" || !path.includes("/")) return [];
  const normal = normalPath(path);
  if (/\.sock(et)?$/.test(normal))
    return [`${normal} is mounted, a socket: that of an engine makes its user root on the host`];
  if (dataFolder.test(normal) || /^\/dev\/bus\/usb$/.test(normal)) return [];
  if (libraryFolder.test(normal)) {
    return isReadOnly ? [] : [`${normal} is mounted and can be written to`];
  }
  return [`${normal} of the host is mounted`];
}

/** An address of the host that is not every address of the host. */
export function isSingleAddress(address: unknown): boolean {
  const plain = text(address).replace(/^\[(.*)\]$/, "$1");
  switch (isIP(plain)) {
    case 4:
      return !plain.startsWith("0.");
    case 6:
      // A URL writes each address in one way only.
      return !/^\[::(ffff:0+:0+)?\]$/.test(
        new URL(`http://[${plain.replace(/%.*$/, "")}]`).hostname,
      );
    default:
      return false;
  }
}

function normalPath(path: unknown): string {
  return posix.normalize(`/${text(path).trim()}`).replace(/\/+$/, "") || "/";
}

function each(what: string, values: readonly string[]): string[] {
  return values.length > 0 ? [`${what} ${values.join(", ")}`] : [];
}
