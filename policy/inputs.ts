/*
 * Reading what the engine hands to a policy: a resource's inputs, under the names the Docker and Command
 * providers give them. A value of another kind than expected counts as absent.
 */

/** A resource's inputs, of whatever provider. */
export type Inputs = Readonly<Record<string, unknown>>;

export const containerType = "docker:index/container:Container";
export const serviceType = "docker:index/service:Service";
export const volumeType = "docker:index/volume:Volume";
export const commandTypes: readonly string[] = ["command:local:Command", "command:remote:Command"];

export function containerSpec(props: Inputs): Inputs {
  return object(object(props["taskSpec"])["containerSpec"]);
}

export function object(value: unknown): Inputs {
  return typeof value === "object" && value !== null ? (value as Inputs) : {};
}

export function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? (value as unknown[]) : [];
}

export function text(value: unknown): string {
  return typeof value === "string" ? value : (JSON.stringify(value) ?? "nothing");
}
