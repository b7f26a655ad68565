import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";

import { afterAll, beforeAll, describe, expect, it } from "vitest";

/*
 * image/serve.py as gunicorn's own process, with a gunicorn that only starts and ends workers. Immich's and
 * gunicorn's own code run in test/immich/mlServer.test.ts.
 */

const script = path.join(__dirname, "../../image/serve.py");

/** Its function as in Immich v2.2.0 to v3.1.0: by the number of workers that live. */
const immichs = `import os
device_ids = os.environ["MACHINE_LEARNING_DEVICE_IDS"].split(",")
def pre_fork(arbiter, _):
    os.environ["MACHINE_LEARNING_DEVICE_ID"] = device_ids[len(arbiter.WORKERS) % len(device_ids)]
`;

/** Reads \`+\` (start a worker) and \`-N\` (the Nth one ends), and prints the GPU of each that is started. */
const gunicorn = `import os, sys
from types import SimpleNamespace
from immich_ml import gunicorn_conf
arbiter, begun = SimpleNamespace(WORKERS={}), 0
for word in sys.argv[1].split():
    if word != "+":
        del arbiter.WORKERS[int(word[1:])]
        continue
    worker = SimpleNamespace()
    gunicorn_conf.pre_fork(arbiter, worker)
    begun += 1
    arbiter.WORKERS[begun] = worker
    print(os.environ["MACHINE_LEARNING_DEVICE_ID"])
`;

let folder: string;

beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), "immich-ml-test-serve-"));
  mkdirSync(path.join(folder, "immich_ml"));
  writeFileSync(path.join(folder, "immich_ml/__init__.py"), "");
  writeFileSync(path.join(folder, "immich_ml/gunicorn_conf.py"), immichs);
  writeFileSync(path.join(folder, "gunicorn.py"), gunicorn);
});

afterAll(() => rmSync(folder, { recursive: true }));

/** The GPUs of the workers that are started, in their order. */
function gpusOf(deviceIds: string, events: string): string[] {
  const output = execFileSync("python3", [script, "-m", "gunicorn", events], {
    env: { PATH: process.env["PATH"], PYTHONPATH: folder, MACHINE_LEARNING_DEVICE_IDS: deviceIds },
    encoding: "utf8",
  });
  return output.trim().split("\n");
}

describe("a worker of the ML server", () => {
  it.each([
    ["each of two gets a GPU of its own", "0,1", "+ +", ["0", "1"]],
    ["the one that follows a dead one gets that one's", "0,1", "+ + -1 +", ["0", "1", "0"]],
    [
      "so do those that follow all after an idle time-out",
      "0,1",
      "+ + -1 + -2 +",
      ["0", "1", "0", "1"],
    ],
    ["in either order", "0,1", "+ + -2 + -1 +", ["0", "1", "1", "0"]],
    ["more workers than GPUs share them evenly", "0,1", "+ + + + -2 +", ["0", "1", "0", "1", "1"]],
    ["a GPU named twice gets twice as many", "0,0,1", "+ + + -1 +", ["0", "1", "0", "0"]],
    [
      "new ones that start before the old ones end",
      "2,5",
      "+ + + + -1 -2 +",
      ["2", "5", "2", "5", "2"],
    ],
  ])("%s", (_what, deviceIds, events, gpus) => {
    expect(gpusOf(deviceIds, events)).toEqual(gpus);
  });
});
