/*
 * Docker's log drivers, from docs.docker.com/engine/logging/drivers. The engine refuses a container with an
 * option that its driver does not know.
 */

interface LogDriver {
  readonly options: readonly string[];
  /** @default none */
  readonly required?: readonly string[];
  /** The option that is an address, and its schemes: Docker takes none without. */
  readonly address?: readonly [option: string, ...schemes: string[]];
}

const extra = ["labels", "labels-regex", "env", "env-regex", "tag"];
const files = ["max-size", "max-file", "compress"];

export const logDrivers = {
  "json-file": { options: [...files, ...extra] },
  local: { options: files },
  journald: { options: extra },
  syslog: {
    address: ["syslog-address", "udp", "tcp", "tcp+tls", "unix", "unixgram"],
    options: [
      "syslog-address",
      "syslog-facility",
      "syslog-format",
      "syslog-tls-ca-cert",
      "syslog-tls-cert",
      "syslog-tls-key",
      "syslog-tls-skip-verify",
      ...extra,
    ],
  },
  gelf: {
    options: [
      "gelf-address",
      "gelf-compression-level",
      "gelf-compression-type",
      "gelf-tcp-max-reconnect",
      "gelf-tcp-reconnect-delay",
      ...extra,
    ],
    required: ["gelf-address"],
    address: ["gelf-address", "udp", "tcp"],
  },
  fluentd: {
    options: [
      "fluentd-address",
      "fluentd-async",
      "fluentd-async-connect",
      "fluentd-async-reconnect-interval",
      "fluentd-buffer-limit",
      "fluentd-max-retries",
      "fluentd-request-ack",
      "fluentd-retry-wait",
      "fluentd-sub-second-precision",
      ...extra,
    ],
  },
} satisfies Readonly<Record<string, LogDriver>>;

export type LogDriverName = keyof typeof logDrivers;

export const logDriverNames = Object.keys(logDrivers) as [LogDriverName, ...LogDriverName[]];

/** Docker's log drivers that keep files, which Docker rotates by the same options. */
export const fileLogDrivers: readonly string[] = ["json-file", "local"];

/** What is wrong with a driver's options; undefined where nothing is. */
export function logOptionProblem(
  name: LogDriverName,
  given: Readonly<Record<string, string>> = {},
): string | undefined {
  const { options, required = [], address }: LogDriver = logDrivers[name];
  // Every driver takes those of how Docker buffers lines and keeps a copy of them.
  const isKnown = (option: string) =>
    options.includes(option) || /^(mode|max-buffer-size|cache-.+)$/.test(option);
  const unknown = Object.keys(given).find((option) => !isKnown(option));
  if (unknown !== undefined) {
    return `has ${unknown}, which ${name} does not know; it knows ${options.join(", ")}`;
  }
  const [option = "", ...schemes] = address ?? [];
  const wrong = given[option];
  if (wrong !== undefined && !schemes.some((scheme) => wrong.startsWith(`${scheme}://`))) {
    return `has ${option} without a scheme that ${name} knows: ${schemes.map((scheme) => `${scheme}://`).join(", ")}`;
  }
  const missing = required.find((option) => !Object.hasOwn(given, option));
  return missing && `needs ${missing} with ${name}`;
}
