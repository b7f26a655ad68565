import { readFileSync } from "node:fs";
import path from "node:path";

import { describe, expect, it } from "vitest";
import { parse } from "yaml";

import { readSettings } from "../../config/read";

const repository = path.join(__dirname, "..", "..");

/** The stack file in a README whose first line is a comment with its name. */
function example(document: string, name: string): string {
  const text = readFileSync(path.join(repository, document), "utf8");
  const [, found] = new RegExp("```yaml\\n# " + name + "\\n([^]*?)```").exec(text) ?? [];
  if (found === undefined) throw new Error(`${document} has no example ${name}`);
  return found;
}

describe.each(["README.md", "README.zh-CN.md"])("the example of a swarm in %s", (document) => {
  it("is a valid stack file with the described meaning", () => {
    const { config } = parse(example(document, "Pulumi.rack.yaml")) as { config: object };
    const values = Object.fromEntries(
      Object.entries(config).map(([key, value]) => [
        key.replace("immich-ml:", ""),
        value as unknown,
      ]),
    );
    const { value: settings, problems } = readSettings(values, {
      project: "immich-ml",
      stack: "rack",
      secrets: {},
    });
    expect(problems).toEqual([]);
    expect(settings!.hosts).toMatchObject([
      {
        accelerator: "cuda",
        image: { kind: "legacy", gpuFamily: "maxwell" },
        url: "http://immich-machine-learning:3003",
        containerName: "immich-ml-rack",
        swarm: {
          replicas: 3,
          genericResources: { "NVIDIA-GPU": 1 },
          updateOrder: "stop-first",
          registry: "registry.lan:5000/immich",
        },
      },
    ]);
  });
});
