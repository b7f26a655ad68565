import { rm } from "node:fs/promises";

import Docker from "dockerode";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { expectDeclaredToRun } from "../support/declared";
import { testName } from "../support/docker";
import { missingEngine, type EngineStack } from "../support/engineStack";
import { missingNight } from "../support/nightly";
import {
  missingPrivateEngine,
  type PrivateEngine,
  startPrivateEngine,
} from "../support/privateEngine";
import {
  buildSmallService,
  smallContext,
  type TestImage,
  writeContext,
} from "../support/smallService";
import { openSmallStack } from "../support/smallStack";

/** A disk of 1.5 GB that something else fills. */
describe.skipIf(missingNight ?? missingEngine ?? missingPrivateEngine)("the disk of a host", () => {
  let engine: PrivateEngine;
  let docker: Docker;
  let base: TestImage;
  let contextPath: string;
  let stack: EngineStack;

  beforeAll(async () => {
    engine = await startPrivateEngine({ disk: 1500 });
    docker = new Docker({ socketPath: engine.endpoint.replace("unix://", "") });
    base = await buildSmallService();
    await engine.load(base.reference);
    contextPath = await smallContext();
    stack = await openSmallStack({
      name: "disk",
      endpoint: engine.endpoint,
      contextPath,
      baseImage: base.reference,
      containerName: testName("disk"),
    });
    await stack.up();
  });

  afterAll(async () => {
    await stack?.dispose();
    await engine?.stop();
    await base?.remove();
    if (contextPath) await rm(contextPath, { recursive: true });
  });

  it("fault: the disk is full while an image is built; the previous container keeps running, and the next up with more space finishes it", async () => {
    const [previous] = await docker.listContainers();
    const { data, all } = { data: `${engine.folder}/data`, all: "df -m --output=avail" };
    await engine.inside(`fallocate -l $(($(${all} ${data} | tail -1) - 60))M ${data}/photos`);
    await writeContext(contextPath, "RUN head -c 150000000 /dev/urandom >/models");
    await expect(stack.up()).rejects.toThrow(/attic-image/);
    expect((await docker.listContainers()).map(({ Id }) => Id)).toEqual([previous!.Id]);
    await engine.inside(`rm ${data}/photos`);
    await stack.up();
    await expectDeclaredToRun(stack, { docker });
  });
});
