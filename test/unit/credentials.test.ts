import * as pulumi from "@pulumi/pulumi";
import { afterEach, beforeAll, describe, expect, it, vi } from "vitest";

import { LegacyImage, type LegacyImageArgs, MachineLearning } from "../../components";
import { imageBuild } from "../../components/imageBuild";
import { loadSettings } from "../../config/load";
import { DockerClient } from "../../util/docker";
import { hasCredentials, sanitize, withoutCredentials } from "../../util/sanitize";

const password = "Pl4nted-Pass";

describe("an address in a message", () => {
  it.each([
    [`http://user:${password}@proxy:3128`, "http://…@proxy:3128"],
    [`https://${password}@mirror.example/simple`, "https://…@mirror.example/simple"],
    [`ssh://pi:${password}@box`, "ssh://…@box"],
    [`ssh://pi:p@${password}@box`, "ssh://…@box"],
    [`ssh://pi:p/${password}@box`, "ssh://…@box"],
    [`user:${password}@mirror.example:5000`, "…@mirror.example:5000"],
    [`user:@sha256:${password}@mirror.example:5000`, "…@mirror.example:5000"],
    ...["ssh://me@box:22", "me@box", "http://box/path@x", "unix:///var/run/docker.sock"].map(same),
    ...["python:3.10", "https://box/simple", "", "@"].map(same),
    same(`localhost:5000/python:3.10@sha256:${"0a".repeat(32)}`),
  ])("%s is shown as %s", (address, shown) => {
    expect(withoutCredentials(address)).toBe(shown);
    expect(withoutCredentials(shown)).toBe(shown);
    expect(hasCredentials(address)).toBe(address !== shown);
  });

  it("loses its password wherever it stands, before the text is cut", () => {
    const address = `http://user:${password}@proxy:3128`;
    expect(sanitize(`proxy="${address}": refused (${address}), HTTP_PROXY=${address}`)).toBe(
      'proxy="http://…@proxy:3128": refused (http://…@proxy:3128), HTTP_PROXY=http://…@proxy:3128',
    );
    expect(sanitize(`http://user:${password.repeat(99)}@proxy`, 20)).toBe("http://…@proxy");
  });

  it("loses it in what the docker client says", async () => {
    const said = `error during connect: Get "http://user:${password}@box/info": no route to host`;
    const run = () => Promise.resolve({ code: 1, stdout: "", stderr: said });
    const answers = await Promise.all([
      new DockerClient({ dockerHost: "ssh://me@box" }, run).info(),
      new DockerClient({ dockerHost: "ssh://me@box" }, run).container("attic"),
    ]);
    for (const answer of answers) {
      expect(answer).toMatchObject({ message: expect.stringContaining("…@box") as string });
      expect(JSON.stringify(answer)).not.toContain(password);
    }
  });
});

function same(address: string): [string, string] {
  return [address, address];
}

/** The mark of a secret on its way to the engine. */
const secretSignature = "4dabf18193072939515e22adb298388d";

describe("a password that is needed", () => {
  const registered: pulumi.runtime.MockResourceArgs[] = [];

  beforeAll(async () => {
    await pulumi.runtime.setMocks({
      newResource: (resource) => {
        registered.push(resource);
        return { id: resource.name, state: { ...(resource.inputs as object) } };
      },
      call: (call) => call.inputs as object,
    });
  });

  afterEach(() => void registered.splice(0));

  async function inputsOf(type: string): Promise<Record<string, unknown>> {
    const find = () => registered.find((resource) => resource.type === type);
    await vi.waitFor(() => expect(find()).toBeDefined());
    return find()!.inputs as Record<string, unknown>;
  }

  const buildWith = async (args: Partial<LegacyImageArgs>) => {
    void new LegacyImage("image", { gpuFamily: "maxwell", immichVersion: "v2.7.5", ...args });
    return (await inputsOf("docker:index/remoteImage:RemoteImage"))["build"];
  };

  it.each(["httpProxy", "httpsProxy"])("in %s is a secret of the state", async (proxy) => {
    expect(await buildWith({ [proxy]: `http://me:${password}@proxy:3128` })).toMatchObject({
      [secretSignature]: expect.anything() as unknown,
    });
  });

  it("makes no secret of a proxy without one", async () => {
    const build = await buildWith({ httpProxy: "http://proxy:3128" });
    expect(build).toMatchObject({ buildArgs: { HTTP_PROXY: "http://proxy:3128" } });
  });

  it("in a harmless variable of an env file is a secret of the state", async () => {
    const endpoint = `https://me:${password}@models.example`;
    void new MachineLearning("attic", {
      image: "sha256:abc",
      immichVersion: "v2.7.5",
      cacheVolume: "cache",
      network: "immich",
      check: "off",
      environmentFile: { HF_ENDPOINT: endpoint },
    });
    const { envs } = await inputsOf("docker:index/container:Container");
    expect(envs).toMatchObject({ [secretSignature]: expect.anything() as unknown });
  });

  it.each([
    { packageIndex: `https://me:${password}@x/simple` },
    { aptMirror: `http://me:${password}@x` },
    { imageMirror: `me:${password}@x` },
    { imageMirror: { "docker.io": `me:${password}@x` } },
    { httpProxy: `socks5://me:${password}@x` },
  ])("is refused where it is not, and not repeated: %o", (args) => {
    const request = {
      gpuFamily: "maxwell",
      immichVersion: "v2.7.5",
      contextPath: "image",
      ...args,
    } as const;
    let message = "";
    try {
      imageBuild(request);
    } catch (error) {
      ({ message } = error as Error);
    }
    expect(message).toContain(Object.keys(args)[0]);
    expect(message).not.toContain(password);
  });
});

describe("the stack file's build", () => {
  const file = {
    immich: { version: "v2.7.5" },
    hosts: [{ name: "attic", accelerator: "cpu", network: "immich" }],
  };

  async function load(build: object, isEncrypted: boolean) {
    pulumi.runtime.setAllConfig(
      Object.fromEntries(
        Object.entries({ ...file, build }).map(([key, value]) => [
          `project:${key}`,
          JSON.stringify(value),
        ]),
      ),
      isEncrypted ? ["project:build"] : [],
    );
    vi.stubEnv("PULUMI_CONFIG_SECRET_KEYS", JSON.stringify(isEncrypted ? ["project:build"] : []));
    const info = vi.spyOn(pulumi.log, "info").mockResolvedValue();
    try {
      const { build: loaded } = await loadSettings(() => Promise.resolve({}));
      return { loaded, notes: info.mock.calls.map(([note]) => note) };
    } finally {
      vi.unstubAllEnvs();
      vi.restoreAllMocks();
    }
  }
  const withPassword = { httpsProxy: `http://me:${password}@proxy:3128` };

  it("may be encrypted for a proxy's password", async () => {
    expect(await load(withPassword, true)).toEqual({ loaded: withPassword, notes: [] });
  });

  it("in clear, tells how to encrypt it", async () => {
    const { loaded, notes } = await load(withPassword, false);
    expect(loaded).toEqual(withPassword);
    expect(notes).toEqual([
      expect.stringContaining("pulumi config set --secret --path immich-ml:build.httpsProxy"),
    ]);
    expect(notes.join()).not.toContain(password);
  });

  it("is encrypted for nothing else, which would stand in the state in clear", async () => {
    const loading = load({ httpProxy: "http://proxy:3128" }, true);
    await expect(loading).rejects.toThrow(/immich-ml:build: has an encrypted part/);
  });
});
