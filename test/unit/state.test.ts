import { describe, expect, it } from "vitest";

import { hostsOf, type State, type StoredResource, withoutHosts } from "../../cli/state";

const stackUrn = "urn:pulumi:dev::immich-ml::pulumi:pulumi:Stack::immich-ml-dev";
const urn = (type: string, name: string) => `urn:pulumi:dev::immich-ml::${type}::${name}`;
const resource = (type: string, name: string, more: Partial<StoredResource> = {}) => ({
  urn: urn(type, name),
  type,
  parent: stackUrn,
  ...more,
});
const service = "immich-ml:index:MachineLearning";
const container = "docker:index/container:Container";
const provider = "pulumi:providers:docker";

/** A host as the program makes it: its provider, image, cache and service. */
function hostResources(name: string): StoredResource[] {
  const by = `${urn(provider, `docker-${name}`)}::id-${name}`;
  return [
    resource(provider, `docker-${name}`, { id: `id-${name}` }),
    resource("docker:index/remoteImage:RemoteImage", `${name}-image`, { provider: by }),
    resource("immich-ml:index:ModelCache", `${name}-cache`),
    resource("docker:index/volume:Volume", `${name}-cache`, {
      parent: urn("immich-ml:index:ModelCache", `${name}-cache`),
      provider: by,
    }),
    resource(service, name),
    resource(container, name, { parent: urn(service, name), provider: by }),
  ];
}

const state: State = {
  version: 3,
  deployment: {
    resources: [
      { urn: stackUrn, type: "pulumi:pulumi:Stack" },
      ...hostResources("attic"),
      // A host whose name is that of another one's image.
      ...hostResources("attic-image"),
      resource("immich-ml:index:ModelPreset", "preset", {
        dependencies: [urn(service, "attic"), urn(service, "attic-image")],
        propertyDependencies: { urls: [urn(service, "attic")] },
      }),
    ],
    pending_operations: [
      {
        type: "creating",
        resource: resource(container, "attic", { parent: urn(service, "attic") }),
      },
      {
        type: "creating",
        resource: resource(container, "attic-image", { parent: urn(service, "attic-image") }),
      },
    ],
  },
};

const urnsOf = ({ deployment }: State) => (deployment.resources ?? []).map(({ urn: each }) => each);

describe("forgetting a host", () => {
  const { state: after, gone } = withoutHosts(state, ["attic"]);

  it("takes out everything below it and its provider, and nothing of a host with a similar name", () => {
    expect(hostsOf(state)).toEqual(["attic", "attic-image"]);
    expect(hostsOf(after)).toEqual(["attic-image"]);
    expect(urnsOf(after)).toEqual([
      stackUrn,
      ...hostResources("attic-image").map((each) => each.urn),
      urn("immich-ml:index:ModelPreset", "preset"),
    ]);
    expect(gone.map((each) => each.urn)).toEqual(
      hostResources("attic")
        .filter(({ type }) => type !== provider)
        .map((each) => each.urn),
    );
  });

  it("leaves nothing that points to it", () => {
    expect(JSON.stringify(after)).not.toContain('::attic"');
    expect(after.deployment.pending_operations).toHaveLength(1);
  });

  it("keeps a provider that another host uses", () => {
    const by = `${urn(provider, "docker-attic")}::id-attic`;
    const shared: State = {
      ...state,
      deployment: {
        resources: state.deployment.resources!.map((each) =>
          each.provider ? { ...each, provider: by } : each,
        ),
      },
    };
    expect(urnsOf(withoutHosts(shared, ["attic"]).state)).toContain(urn(provider, "docker-attic"));
  });
});
