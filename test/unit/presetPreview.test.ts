import * as pulumi from "@pulumi/pulumi";
import { expect, test } from "vitest";

import { ModelPreset } from "../../components/modelPreset";

test("a first preview, where no address is known yet, registers the same and does not fail", async () => {
  const registered: string[] = [];
  await pulumi.runtime.setMocks(
    {
      newResource: ({ name, inputs }) => {
        registered.push(name);
        return { id: "", state: inputs as Record<string, unknown> };
      },
      call: () => ({}),
    },
    "project",
    "stack",
    true,
  );
  class Host extends pulumi.CustomResource {
    declare readonly url: pulumi.Output<string>;
  }
  const host = new Host("test:index:Host", "host", { url: undefined });
  new ModelPreset("preset", {
    immichVersion: "v2.7.5",
    models: { clip: { modelName: "ViT-B-32__openai" } },
    urls: [host.url],
    store: { kind: "database", host: host.url, password: host.url },
    serverContainer: { name: "immich_server" },
  });
  await expect.poll(() => registered.length, { timeout: 4000 }).toBe(7);
  expect(registered).toContain("preset-settings");
  expect(registered).toContain("preset-apply");
});
