import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";

import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";

import { download } from "../../demo/shell";

describe("a download of the demo", () => {
  let folder: string;
  const said = vi.spyOn(console, "log").mockImplementation(() => undefined);

  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), "immich-ml-test-download-"));
  });
  afterAll(() => rm(folder, { recursive: true }));

  /** Counts its runs in files, and goes wrong in the first ones. */
  const script = (name: string, first: string) =>
    `for n in 1 2 3; do [ -e ${folder}/${name}$n ] || break; done; touch ${folder}/${name}$n; ` +
    `[ "$n" -gt 1 ] || { ${first}; }; echo got`;

  it("is tried again after a stall, and what it had started is ended", async () => {
    const stalling = script("stall", `echo begun; sleep 300 & echo $! >${folder}/pid; wait`);
    expect(await download("sh", ["-c", stalling], { silenceLimit: 300 })).toBe("got\n");
    expect(said.mock.calls.flat()).toContainEqual(
      expect.stringMatching(/^sh .*printed nothing for 0\.3 s; trying again \(2 of 3\)$/),
    );
    const sleeper = (await readFile(path.join(folder, "pid"), "utf8")).trim();
    const state = await readFile(`/proc/${sleeper}/stat`, "utf8").catch(() => "gone Z");
    expect(state).toMatch(/ Z|gone/);
  });

  it("is tried again after a failure, from a clean start", async () => {
    const left = path.join(folder, "left");
    const failing = script("fail", `touch ${left}; exit 5`);
    await download("sh", ["-c", failing], {}, () => rm(left, { force: true }));
    expect(existsSync(left)).toBe(false);
  });

  it("fails with the last reason after three attempts", async () => {
    said.mockClear();
    await expect(download("sh", ["-c", "echo no route >&2; exit 7"])).rejects.toThrow(
      /ended with 7\n {2}no route/,
    );
    expect(said).toHaveBeenCalledTimes(2);
  });
});
