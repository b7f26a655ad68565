import { acceleratorNames, acceleratorsOfImage } from "../catalog/accelerators";
import type { DockerClient } from "../util/docker";
import { type DeployedHost, namedContainer } from "../verify/deployment";

/**
 * A container that no stack runs, with the accelerator that is named or that its image is made for.
 *
 * @param client of the engine at `dockerHost`
 * @throws where there is no such container, or its image does not tell
 */
export async function findContainer(
  client: Pick<DockerClient, "container" | "allContainers">,
  wanted: {
    readonly container: string;
    readonly accelerator: string | undefined;
    readonly dockerHost: string;
  },
): Promise<DeployedHost> {
  const { container, accelerator, dockerHost } = wanted;
  if (accelerator !== undefined) namedContainer({ ...wanted, accelerator });
  const found = await client.container(container);
  if (!found.ok) throw new Error(found.message);
  if (found.value === undefined) {
    const all = await client.allContainers();
    const names = all.ok ? all.value.flatMap((each) => each.names) : [];
    throw new Error(
      `there is no container ${container} at ${dockerHost}; there are: ${names.sort().join(", ") || "none"}`,
    );
  }
  const { image } = found.value;
  const [made] = acceleratorsOfImage(image);
  const name = accelerator ?? made;
  if (name === undefined) {
    throw new Error(
      `the image of ${container} (${image}) does not tell what it computes on: add --accelerator and one of ${acceleratorNames.join(", ")}`,
    );
  }
  if (accelerator === undefined) {
    console.error(
      name === "cpu"
        ? `${container} runs Immich's image for CPUs (${image}): this checks the CPU`
        : `${container} runs Immich's image for ${name} (${image})`,
    );
  }
  return namedContainer({ container, accelerator: name, dockerHost });
}
