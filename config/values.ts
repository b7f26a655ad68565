import { z } from "zod";

import { hasCredentials } from "../util/sanitize";
import { isWebUrl } from "../util/webUrl";

/*
 * The kinds of values in a stack file. The `allowed` text of each is what the user reads when a value
 * is wrong.
 */

/** Text that names, paths and addresses can be: without control characters, no longer than a path. */
export const bounded = () =>
  z
    .string()
    .max(4096, { abort: true })
    .regex(/^[^\u0000-\u001f\u007f]*$/);

export const text = (allowed: string, pattern: RegExp = /^\S(.*\S)?$/) =>
  bounded().regex(pattern).meta({ allowed });

export const whole = (minimum: number, maximum: number, unit: string) =>
  z
    .int()
    .min(minimum)
    .max(maximum)
    .meta({ allowed: `a whole number from ${minimum} to ${maximum} (${unit})` });

export const oneOf = <const Names extends readonly [string, ...string[]]>(...names: Names) =>
  z.enum(names).meta({ allowed: `one of ${names.join(", ")}` });

export const cores = z.number().positive().max(1024).meta({ allowed: "a number above 0 (cores)" });

export const yesOrNo = z.boolean().meta({ allowed: "true or false" });

export const endpoint = text(
  "a Docker endpoint: unix:///path, ssh://user@host or tcp://host:port; never with a password: ssh takes keys (ssh-copy-id, ssh-agent)",
  /^(unix:\/\/\/|ssh:\/\/|tcp:\/\/)[^\s]+$/,
).refine((value) => value.startsWith("unix:") || isRemoteEndpoint(value));

/** User and host become words of an ssh command, and ssh may hand them to a shell. */
function isRemoteEndpoint(value: string): boolean {
  if (!URL.canParse(value)) return false;
  const { protocol, username, hostname, port, search, hash } = new URL(value);
  return (
    /^(\w[\w.-]*|\[[0-9A-Fa-f:.]+\])$/.test(hostname) &&
    // An @ and a backslash, as in DOMAIN\user, have to be written in this way.
    /^(\w([\w.+-]|%40|%5C)*)?$/i.test(username) &&
    (protocol !== "tcp:" || port !== "") &&
    search + hash === "" &&
    !hasCredentials(value)
  );
}

/** What people write for an endpoint, and how Docker does. */
const endpointSpellings: readonly (readonly [pattern: RegExp, meant: string])[] = [
  [/^(?:unix:\/{0,2})?\/?((?:var|run)\/[\w./-]+\.sock)$/, "unix:///$1"],
  [/^(?:https?:\/\/)?([\w.-]+:\d{1,5})\/?$/, "tcp://$1"],
  [/^(\w[\w.-]*@[\w.-]+)$/, "ssh://$1"],
  // Of Docker Desktop on Windows, which shows this socket in WSL 2, where this program runs.
  [/^npipe:.*$/, "unix:///var/run/docker.sock"],
];

/** The endpoint that a text of another spelling means; undefined for any other text. */
export function endpointMeant(value: string): string | undefined {
  const [pattern, meant] = endpointSpellings.find(([each]) => each.test(value)) ?? [];
  return pattern && value.replace(pattern, meant!);
}

export const tlsFolder = text("the path of a folder with ca.pem, cert.pem and key.pem");

export const dockerName = text(
  "letters, digits, '_', '.' and '-', beginning with a letter or digit",
  /^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,127}$/,
);

export const volumeName = text(
  "the name of a volume; a folder of the host stands in cache.path",
  /^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,127}$/,
);

/** Docker takes a colon for the end of the path. */
export const hostFolder = text(
  "the absolute path of a folder on the host, such as /mnt/user/appdata/immich-ml, without ':'",
  /^\/[^:]*[^:/\s][^:]*$/,
).transform((path) => path.replace(/\/+$/, ""));

export const url = text("a URL that begins with http:// or https://").refine(isWebUrl);

/** One whose user and password would be readable in the state, in outputs or in an image's history. */
export const urlWithoutUser = url
  .refine((value) => !hasCredentials(value))
  .meta({ allowed: "a URL that begins with http:// or https://, without a user or password" });

/** Whether a valid address, in whatever spelling, stands for all of a host's. */
export function isEveryAddress(address: string): boolean {
  const host = address.includes(":") ? `[${address.replace(/%.*/, "")}]` : address;
  return ["0.0.0.0", "[::]", "[::ffff:0:0]"].includes(new URL(`http://${host}`).hostname);
}

/** Docker's grammar: a registry with a port, names in small letters, a tag, a digest. */
const part = "[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*";
const registry = "[a-zA-Z0-9](?:[a-zA-Z0-9.-]*[a-zA-Z0-9])?(?::\\d{1,5})?";

export const imageReference = text(
  "an image reference such as name:tag or name@sha256:…, in small letters and without a scheme",
  new RegExp(`^(${registry}/)?${part}(/${part})*(:\\w[\\w.-]{0,127})?(@sha256:[0-9a-f]{64})?$`),
);
