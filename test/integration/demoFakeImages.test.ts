import { beforeAll, expect, test } from "vitest";

import { run } from "../../demo/shell";
import { ensureFakeImages, type FakeImages } from "../../demo/fakeImages";
import { fakes } from "../support/docker";

let images: FakeImages;

beforeAll(async () => {
  images = await fakes();
});

const inContainer = (image: string, script: string) =>
  run("docker", ["run", "--rm", image, "sh", "-euc", script]);

test.each([
  ["3.10", () => images.python310],
  ["3.11", () => images.python311],
])(
  "Python %s is where the official image has it and installs from PyPI",
  async (version, image) => {
    const found = await inContainer(
      image(),
      `/usr/local/bin/python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])'
     python3 -m venv /opt/venv
     /opt/venv/bin/pip install --quiet --disable-pip-version-check idna
     /opt/venv/bin/python -c 'import idna; print(idna.__name__)'`,
    );

    expect(found.trim().split("\n")).toEqual([version, "idna"]);
  },
);

test("apt works, and an update of ca-certificates keeps the machine's authorities", async () => {
  const found = await inContainer(
    images.python310,
    `count() { grep -c BEGIN "$SSL_CERT_FILE"; }
     before=$(count)
     apt-get update -qq && apt-get install -qq --no-install-recommends tini > /dev/null
     update-ca-certificates > /dev/null 2>&1
     test "$before" = "$(count)" && command -v tini`,
  );

  expect(found.trim().split("\n").at(-1)).toBe("/usr/bin/tini");
});

test("existing images are not built again", async () => {
  const lines: string[] = [];
  const start = Date.now();
  await ensureFakeImages("v2.7.5", (line) => lines.push(line));

  expect(lines).toEqual([]);
  expect(Date.now() - start).toBeLessThan(2000);
});
