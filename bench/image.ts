import { appendFileSync, cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";

import type Docker from "dockerode";

import { buildImage, type BuildRequest } from "../demo/buildImage";
import { repositoryFolder } from "../demo/folders";
import { fakeBuildArgs } from "../test/support/builtImage";
import { fakes, startedDocker, testName } from "../test/support/docker";
import { benchmark, type Figures, timed } from "./support/benchmark";

/**
 * Time of a build after a change, the layers that it replaces, and the size of the image; beside it the
 * seed's Dockerfile on the same base (bench/seedImage). Our build keeps pip's cache, the seed none.
 */
async function measure(figures: Figures): Promise<void> {
  const docker = await startedDocker();
  const images = await fakes();
  const names: string[] = [];
  const folder = mkdtempSync(path.join(tmpdir(), "immich-ml-bench-"));

  const built = async (request: Omit<BuildRequest, "tag">) => {
    const tag = `${testName("bench-image")}:latest`;
    const { milliseconds } = await timed(() => buildImage(docker, { ...request, tag }));
    names.push(tag);
    return { tag, seconds: milliseconds / 1000 };
  };

  try {
    const context = path.join(repositoryFolder, "image");
    const buildArgs = fakeBuildArgs("kepler-maxwell", "v2.7.5", images);
    const newer = fakeBuildArgs("kepler-maxwell", "v2.7.4", images);
    const changed = path.join(folder, "image");
    cpSync(context, changed, { recursive: true });
    appendFileSync(path.join(changed, "opset_bridge/limits.py"), `# ${Date.now()}\n`);

    const whole = await built({ buildArgs, noCache: true });
    const nothing = await built({ buildArgs });
    const bridge = await built({ buildArgs, context: changed });
    const version = await built({ buildArgs: newer });

    figures.add("image.build.everything", whole.seconds, "s");
    figures.add("image.build.nothingChanged", nothing.seconds, "s", { atMost: 5 });
    figures.add("image.build.bridgeChanged", bridge.seconds, "s", { atMost: 30 });
    figures.add("image.build.immichVersionChanged", version.seconds, "s", { atMost: 30 });
    const after = await layers(docker, nothing.tag);
    for (const [name, other] of Object.entries({ bridge, version })) {
      figures.add(
        `image.newLayers.${name}`,
        newBytes(after, await layers(docker, other.tag)),
        "MB",
        { atMost: 1 },
      );
    }
    for (const { instruction, megabytes } of after.filter((layer) => layer.megabytes >= 1)) {
      figures.add(`image.layer[${instruction}]`, megabytes, "MB");
    }
    figures.add("image.size", await megabytesOf(docker, nothing.tag), "MB");

    const seed = path.join(repositoryFolder, "bench", "seedImage");
    const seedArgs = (IMMICH_VERSION: string) => ({
      PYTHON_IMAGE: images.python310,
      IMMICH_VERSION,
    });
    const first = await built({ context: seed, buildArgs: seedArgs("v2.7.5"), noCache: true });
    const second = await built({ context: seed, buildArgs: seedArgs("v2.7.4") });
    figures.add("seed.build.everything", first.seconds, "s");
    figures.add("seed.build.immichVersionChanged", second.seconds, "s");
    figures.add("seed.size", await megabytesOf(docker, first.tag), "MB");
  } finally {
    for (const name of names) await docker.getImage(name).remove();
    rmSync(folder, { recursive: true });
  }
}

interface Layer {
  digest: string;
  instruction: string;
  megabytes: number;
}

/** The layers with files, lowest first. */
async function layers(docker: Docker, tag: string): Promise<Layer[]> {
  const image = docker.getImage(tag);
  const { RootFS } = await image.inspect();
  const history = (await image.history()) as { Size: number; CreatedBy: string }[];
  // Entries for ENV and the like are no layers. The layers of the base come first.
  const made = history
    .reverse()
    .filter(({ CreatedBy, Size }) => Size > 0 || /^(RUN|COPY|WORKDIR)/.test(CreatedBy));
  const digests = RootFS.Layers ?? [];
  return made.slice(-digests.length).map(({ CreatedBy, Size }, index) => ({
    digest: digests.at(index - made.length) ?? "",
    instruction: CreatedBy.replace(/\s+/g, " ").slice(0, 60),
    megabytes: Size / 1e6,
  }));
}

function newBytes(before: readonly Layer[], after: readonly Layer[]): number {
  const known = new Set(before.map(({ digest }) => digest));
  return after
    .filter(({ digest }) => !known.has(digest))
    .reduce((sum, { megabytes }) => sum + megabytes, 0);
}

async function megabytesOf(docker: Docker, tag: string): Promise<number> {
  return (await docker.getImage(tag).inspect()).Size / 1e6;
}

benchmark("image", measure);
