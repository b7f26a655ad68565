import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";

import { LocalWorkspace } from "@pulumi/pulumi/automation";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { freePort } from "../../demo/postgres";
import { findEngine } from "../../demo/withEngine";
import { startedDocker, testName } from "../support/docker";
import { missingEngine, openEngineStack } from "../support/engineStack";

const pack = path.join(__dirname, "..", "..", "policy");

describe.skipIf(missingEngine)("the policy pack on the real engine", () => {
  let folder: string;

  beforeAll(async () => {
    await startedDocker();
    folder = await mkdtemp(path.join(tmpdir(), "immich-ml-test-policy-"));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  it("a stack of this program passes", async () => {
    const name = testName("policy");
    const stack = await openEngineStack({
      name: "policy",
      config: {
        immich: { version: "v2.7.5" },
        hosts: [
          {
            name: "attic",
            accelerator: "cpu",
            imageVariant: "kepler-maxwell",
            containerName: name,
            cacheVolume: `${name}-cache`,
            publish: { address: "127.0.0.1", port: await freePort() },
          },
        ],
      },
    });
    try {
      const { ended } = stack.command(
        ...["preview", "--config-file", stack.configFile, "--policy-pack", pack],
      );
      const { code, text } = await ended;
      expect(text).toMatch(/immich-ml@/);
      expect(text).not.toContain("[mandatory]");
      // An image that is not built yet has no id, which is only advice.
      const advice = [...text.matchAll(/\[advisory\] +([a-z-]+)/g)].map(([, policy]) => policy);
      expect(advice.filter((policy) => policy !== "image-by-id-or-digest")).toEqual([]);
      expect(code).toBe(0);
    } finally {
      await stack.dispose();
    }
  });

  it("a stack that breaks each invariant is refused, and each is named", async () => {
    const found = await findEngine(console.log);
    if ("missing" in found) throw new Error(found.missing);
    const stack = await LocalWorkspace.createStack(
      { stackName: "bad", workDir: path.join(__dirname, "policyProgram") },
      {
        pulumiCommand: found.engine,
        envVars: {
          PULUMI_BACKEND_URL: `file://${folder}`,
          PULUMI_CONFIG_PASSPHRASE: "test",
          PULUMI_SKIP_UPDATE_CHECK: "true",
        },
      },
    );
    let text = "";
    const onOutput = (more: string) => void (text += more);
    const refused = await stack
      .preview({ policyPacks: [pack], color: "never", onOutput, onError: onOutput })
      .then(
        () => false,
        () => true,
      );
    await rm(path.join(__dirname, "policyProgram", "Pulumi.bad.yaml"), { force: true });
    expect(refused).toBe(true);
    for (const policy of [
      "nothing-privileged",
      "confined",
      "volume-not-of-the-host",
      "no-port-on-all-interfaces",
      "health-check",
      "image-by-id-or-digest",
      "cache-kept",
    ]) {
      expect(text).toMatch(new RegExp(`\\[mandatory\\]\\s+.*${policy}`));
    }
    expect(text).toMatch(/\[advisory\]\s+.*no-plain-secrets/);
    expect(text).toContain("the variable DB_PASSWORD holds its value");
    expect(text).toContain("the variable API_TOKEN holds its value");
    expect(text).not.toContain("in-clear");
  });
});
