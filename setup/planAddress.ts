import { isIP } from "node:net";

import { bareHostname } from "../util/webUrl";
import type { Container } from "./containers";
import { type FoundImmich, namesOf } from "./findImmich";

/*
 * Where Immich reaches the new container. Without a preset nothing tells Immich another address, so the
 * one that it asks now has to stay.
 */

/** Where Immich looks unless it is told. */
const defaultUrl = "http://immich-machine-learning:3003";

interface Address {
  /** Of a host's entry. */
  readonly settings: Readonly<Record<string, unknown>>;
  readonly notes: readonly string[];
}

/**
 * @param urls those in Immich's own settings; undefined where they are not known or not set
 * @param old the container that is taken over; undefined where none is
 * @param isManaged whether a preset tells Immich the new address
 * @param port the server's own
 */
export function planAddress(
  immich: FoundImmich,
  urls: readonly string[] | undefined,
  old: Container | undefined,
  { isManaged, port }: { readonly isManaged: boolean; readonly port: number },
): Address {
  const asked = (urls ?? [immich.ownUrl ?? defaultUrl]).filter((url) => URL.canParse(url));
  const served = asked.find((url) => old && isServedBy(url, old, immich.server));
  const isDefault = (url: string) => new URL(url).hostname === "immich-machine-learning";
  const others = asked.filter((url) => url !== served && !(isDefault(url) && immich.network));
  const settings = {
    ...ownNetwork(immich, port, served, old),
    ...kept(served, isManaged, immich, old),
  };
  return { settings, notes: notesOn(others, isManaged) };
}

/** How the server reaches a container at all: by name, in a shared network, or at a port of the host. */
function ownNetwork(
  { network, server, machineLearning, database }: FoundImmich,
  port: number,
  served: string | undefined,
  old: Container | undefined,
): Readonly<Record<string, unknown>> {
  const shared = machineLearning?.sharedWith;
  if (shared !== undefined && old) {
    const isLocal = shared === server.sharedWith;
    const url = served ?? `http://${isLocal ? "localhost" : shared}:${port}`;
    return { network: `container:${shared}`, url };
  }
  if (network !== undefined) return {};
  if (server.networkMode === "host") return { publish: { address: "127.0.0.1", port: 3003 } };
  // On Docker's own bridge the host is reached at an address of its own only.
  const address = isIP(database.host) ? database.host : (server.gateways[0] ?? "172.17.0.1");
  return { publish: { address, port: 3003 } };
}

/** Keeps the name or the port that Immich asks. */
function kept(
  served: string | undefined,
  isManaged: boolean,
  { network, server }: FoundImmich,
  old: Container | undefined,
): Readonly<Record<string, unknown>> {
  if (isManaged || !served || !old || old.sharedWith) return {};
  const { hostname, port } = new URL(served);
  const name = bareHostname(hostname);
  const open = Object.values(old.published).find((each) => each.port === Number(port || "80"));
  if (network === undefined) {
    const isLocal = server.networkMode === "host" && isLoopback(name);
    const address = isLocal ? "127.0.0.1" : isIP(name) ? name : undefined;
    return address ? { publish: { address, port: Number(port || "80") } } : {};
  }
  if (namesOf(old, server).includes(name) && !isIP(name)) {
    return name === "immich-machine-learning" ? {} : { networkAlias: name };
  }
  if (!open) return {};
  return { publish: { address: isIP(name) ? name : open.address, port: open.port } };
}

/** Whether a URL leads to a container: by a name, an address, or a port of the host. */
function isServedBy(url: string, container: Container, server: Container): boolean {
  const { hostname, port } = new URL(url);
  const name = bareHostname(hostname);
  // A fixed address goes with its container.
  if (container.addresses.includes(name) && !container.sharedWith) return false;
  if (namesOf(container, server).includes(name)) return true;
  const isHost = isIP(name) !== 0 || name.includes(".") || isLoopback(name);
  const isOpen = Object.values(container.published).some(
    (open) => open.port === Number(port || "80"),
  );
  return isHost && isOpen;
}

function notesOn(others: readonly string[], isManaged: boolean): string[] {
  if (others.length === 0) return [];
  const list = others.join(", ");
  return isManaged
    ? [
        `Immich asks ${list} for machine learning now; the preset tells it the address of this host alone. To keep another machine, give it an entry of its own under hosts (docs/several-machines.md).`,
      ]
    : [
        `Immich asks ${list} for machine learning now, and nothing changes that: give it the new address (Administration, Settings, Machine Learning), or it never asks this host.`,
      ];
}

function isLoopback(name: string): boolean {
  return name === "localhost" || name === "::1" || name.startsWith("127.");
}
