import {
  formatImmichVersion,
  type ImmichVersion,
  parseImmichVersion,
} from "../catalog/immichVersion";
import type { EngineAddress } from "../util/dockerClient";
import { type Answer, reasonOf, timeout, unanswered } from "../util/docker";
import { getFromApi } from "./immichApi";
import { dockerClientEnvironment } from "../util/dockerClient";
import type { Run } from "../util/run";

/** What tells a server's release without asking it. */
export interface ServerImage {
  /** Such as `ghcr.io/immich-app/immich-server:v2.7.5`. */
  readonly image: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly environment: Readonly<Record<string, string>>;
}

/**
 * The release in a server's image: its label, what its build noted, or its tag. Moving tags such as
 * `release` are none.
 */
export function versionOfImage({ image, labels, environment }: ServerImage): string | undefined {
  const candidates = [
    labels["org.opencontainers.image.version"],
    environment["IMMICH_SOURCE_REF"]?.replace(/^refs\/tags\//, ""),
    /:([^:/@]+)(@sha256:[0-9a-f]+)?$/.exec(image)?.[1],
  ];
  // Other makers' images count their own builds: v2.7.5-ig481.
  const known = candidates.flatMap(
    (text) => parseImmichVersion(text?.replace(/-(ig|ls)\d+$/, "") ?? "") ?? [],
  );
  return known[0] && formatImmichVersion(known[0]);
}

/** The variables of `Config.Env`. */
export function environmentOf(list: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    list.map((entry) => {
      const equals = entry.indexOf("=");
      return equals < 0 ? [entry, ""] : [entry.slice(0, equals), entry.slice(equals + 1)];
    }),
  );
}

/** Asks Docker which release of Immich a server's container runs. */
export async function containerVersion(
  name: string,
  address: EngineAddress,
  run: Run,
): Promise<Answer<string>> {
  const environment = dockerClientEnvironment(address);
  const docker = (...words: string[]) => run("docker", words, { environment, timeout });
  const format = "{{json .Config}}";
  const inspected = await docker("container", "inspect", "--format", format, name);
  if (inspected.code !== 0) {
    return unanswered(`${name} at ${address.dockerHost}: ${reasonOf(inspected)}`);
  }
  const version = versionOfImage(readConfig(inspected.stdout));
  if (version !== undefined) return { ok: true, value: version };
  // An image without any of that: the server itself knows.
  const asked = await docker("exec", name, "node", "--print", askItself);
  const own = parseImmichVersion(asked.stdout.trim());
  if (own) return { ok: true, value: formatImmichVersion(own) };
  return unanswered(
    `${name} runs an image that does not tell its release (${asked.code === 0 ? "no package.json" : reasonOf(asked)})`,
  );
}

const askItself =
  "['/usr/src/app/server/package.json', '/usr/src/app/package.json'].flatMap((file) => { try { return require(file).version } catch { return [] } })[0]";

function readConfig(text: string): ServerImage {
  const parsed = JSON.parse(text) as {
    Image?: string;
    Labels?: Record<string, string> | null;
    Env?: string[] | null;
  };
  return {
    image: parsed.Image ?? "",
    labels: parsed.Labels ?? {},
    environment: environmentOf(parsed.Env ?? []),
  };
}

/** Asks Immich's API, which tells its release without a key. */
export async function apiVersion(url: string): Promise<Answer<string>> {
  try {
    const { major, minor, patch } = await getFromApi<ImmichVersion>(
      { url, apiKey: "none" },
      "/server/version",
      { repeat: false },
    );
    const version = parseImmichVersion(`${major}.${minor}.${patch}`);
    if (version) return { ok: true, value: formatImmichVersion(version) };
    return unanswered(`${url} answers, but not with a version`);
  } catch (error) {
    return unanswered((error as Error).message);
  }
}
