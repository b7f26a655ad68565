import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

import type Docker from "dockerode";
import { afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";

import { fakes, startedDocker, testName } from "../support/docker";

const execute = promisify(execFile);
const script = readFileSync("components/placeModels.sh", "utf8");
const model = "clip/ViT-B-32__openai/visual/model.onnx";

describe("seeded models", () => {
  let docker: Docker;
  let image: string;
  let folder: string;
  let volume: string;

  beforeAll(async () => {
    docker = await startedDocker();
    image = (await fakes()).python310;
  });

  beforeEach(() => {
    volume = testName("models");
    folder = mkdtempSync(join(tmpdir(), "immich-ml-test-models-"));
    mkdirSync(join(folder, model, ".."), { recursive: true });
    const content = "weights";
    writeFileSync(join(folder, model), content);
    const sum = createHash("sha256").update(content).digest("hex");
    writeFileSync(join(folder, "SHA256SUMS"), `${sum}  ./${model}\n`);
  });

  afterEach(async () => {
    rmSync(folder, { recursive: true });
    // What is refused makes no volume.
    await execute("docker", ["volume", "rm", "--force", volume]);
  });

  const place = () =>
    execute("sh", ["-c", script], {
      env: { ...process.env, FOLDER: folder, VOLUME: volume, IMAGE: image },
    });
  const inVolume = async (command: string) => {
    const mount = ["--volume", `${volume}:/cache`];
    const { stdout } = await execute("docker", [
      ...["run", "--rm", ...mount, "--entrypoint", "sh", image, "-c", command],
    ]);
    return stdout.trim();
  };

  it("are copied into the cache beside existing files", async () => {
    await inVolume("echo kept > /cache/other");
    expect((await place()).stdout.trim()).toBe("1");
    expect(await inVolume(`cat /cache/${model} /cache/other`)).toBe("weightskept");
    await place();
  });

  it("are not copied again, but for what differs", async () => {
    const other = "with space 模型";
    writeFileSync(join(folder, other), "other");
    const sum = createHash("sha256").update("other").digest("hex");
    writeFileSync(join(folder, "SHA256SUMS"), `${sum}  ./${other}\n`, { flag: "a" });
    expect((await place()).stderr).toContain("copying 2 of 2 files");
    const inode = `stat -c %i /cache/${model}`;
    const before = await inVolume(inode);
    expect((await place()).stderr).not.toContain("copying");
    await inVolume(`echo damaged > '/cache/${other}'`);
    expect((await place()).stderr).toContain("copying 1 of 2 files");
    expect(await inVolume(`cat '/cache/${other}'`)).toBe("other");
    expect(await inVolume(inode)).toBe(before);
    await inVolume(`rm '/cache/${other}'`);
    expect((await place()).stderr).toContain("copying 1 of 2 files");
  });

  it.runIf(process.getuid?.() === 0)(
    "belong to root whoever owned them, so that a server without capabilities can write beside them",
    async () => {
      await execute("chown", ["-R", "1000:1000", folder]);
      await place();
      const beside = `/cache/${model}.lock`;
      const mount = ["--volume", `${volume}:/cache`, "--cap-drop", "ALL"];
      await execute("docker", ["run", "--rm", ...mount, "--entrypoint", "touch", image, beside]);
    },
  );

  it("are refused by name when a file does not match its checksum", async () => {
    writeFileSync(join(folder, model), "damaged");
    const { stderr } = await place().catch((error: { stderr: string }) => error);
    expect(stderr).toContain(`./${model}: FAILED`);
    expect(stderr).toContain("repair the folder");
  });

  it("leave no container, copied or refused", async () => {
    await place();
    writeFileSync(join(folder, model), "damaged");
    await place().catch(() => undefined);
    const left = await docker.listContainers({ all: true, filters: { volume: [volume] } });
    expect(left).toEqual([]);
  });
});
