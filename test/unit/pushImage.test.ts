import { readFileSync } from "node:fs";
import { join } from "node:path";

import { afterAll, describe, expect, it } from "vitest";

import { FakeCommands } from "../support/scripts";

const used: FakeCommands[] = [];
afterAll(() => used.forEach((commands) => commands.remove()));

const repository = "registry.lan:5000/immich/rack";
const digest = `${repository}@sha256:${"a1".repeat(32)}`;

/** Runs the script with a fake `docker` that notes its arguments. */
async function push({ image = `sha256:${"0".repeat(64)}`, digests = digest, failure = "" }) {
  const commands = new FakeCommands();
  used.push(commands);
  commands.write("digests", `${digests}\n`);
  commands.write("failure", failure);
  commands.add(
    "docker",
    `echo "$*" >>"${commands.folder}/asked"
case "$2" in
  push) [ ! -s "${commands.folder}/failure" ] || { cat "${commands.folder}/failure"; exit 1; } ;;
  inspect) cat "${commands.folder}/digests" ;;
esac`,
  );
  const environment = { IMAGE: image, REPOSITORY: repository, TAG: "0000" };
  const ended = await commands.run("components/pushImage.sh", environment);
  return { ...ended, asked: readFileSync(join(commands.folder, "asked"), "utf8").split("\n") };
}

describe("pushing an image", () => {
  it("ends with the reference by digest", async () => {
    const { code, stdout, stderr } = await push({ digests: `other@sha256:00\n${digest}` });
    expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: `${digest}\n`, stderr: "" });
  });

  it("takes no id of an engine for an option", async () => {
    const { asked } = await push({ image: "--config=/etc/shadow" });
    for (const call of asked.filter((line) => line.includes("shadow"))) {
      expect(call).toContain(" -- --config=/etc/shadow");
    }
    expect(asked[0]).toBe(`image tag -- --config=/etc/shadow ${repository}:0000`);
  });

  it.each(["", `${repository}@sha256:$(touch canary)`, `--x ${digest}`, `${repository}@sha1:00`])(
    "refuses %j as a digest",
    async (digests) => {
      const { code, stdout, stderr } = await push({ digests });
      expect([code, stdout]).toEqual([1, ""]);
      expect(stderr).toContain(`Docker names no digest for ${repository}: `);
    },
  );

  it("prints what a registry says without its control characters", async () => {
    const { code, stderr } = await push({ failure: "denied \u001b[2J\u009bverified\n" });
    expect(code).toBe(1);
    expect(stderr).toContain("denied [2J?verified\nLog in on the machine");
  });
});
