import * as docker from "@pulumi/docker";
import type * as pulumi from "@pulumi/pulumi";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { MachineLearning, ModelCache } from "../../components";
import { startedDocker } from "../support/docker";
import { type EngineStack, missingEngine, openEngineStack } from "../support/engineStack";

/** Adds a label to a component's child; the type decides which. */
const labelled =
  (childType: string): pulumi.ResourceTransform =>
  ({ type, props, opts }) =>
    type === childType
      ? { props: { ...props, labels: [{ label: "owner", value: childType }] }, opts }
      : undefined;

const container = "docker:index/container:Container";
const volume = "docker:index/volume:Volume";

describe.skipIf(missingEngine)("transforms given to a component on the real engine", () => {
  let stack: EngineStack;

  beforeAll(async () => {
    await startedDocker();
    stack = await openEngineStack({
      name: "transforms",
      program: () => Promise.resolve(program()),
    });
  });
  afterAll(() => stack?.dispose());

  function program() {
    const provider = new docker.Provider("engine", { disableDockerDaemonCheck: true });
    const cache = new ModelCache("cache", {}, { provider, transforms: [labelled(volume)] });
    new MachineLearning(
      "attic",
      {
        image: "sha256:abc",
        immichVersion: "v2.7.5",
        cacheVolume: cache.volumeName,
        network: "immich_default",
      },
      { provider, transforms: [labelled(container)] },
    );
    return {};
  }

  it("reach its children, each their own", async () => {
    const { text } = await stack.preview();
    const values = [...text.matchAll(/value *: "(docker:.*)"/g)].map(([, value]) => value);
    expect(values.sort()).toEqual([container, volume]);
  });
});
