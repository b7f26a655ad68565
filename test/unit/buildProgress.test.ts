import { describe, expect, it } from "vitest";

import { type BuildRecord, describeProgress } from "../../components/buildProgress";

const record = (instruction: string, rest: Partial<BuildRecord> = {}): BuildRecord => ({
  Description: `mount / from exec /bin/sh -c ${instruction}`,
  InUse: "true",
  Size: "0B",
  ...rest,
});
const system = record("sh /tmp/system.sh && rm /tmp/system.sh", { Size: "12.1MB" });
const cuda = record(
  "PIP_CACHE_DIR=/var/cache/pip     sh /tmp/install.sh cuda /tmp/lock.txt /opt/cuda",
  {
    Size: "1.72GB",
  },
);
const python = record("PIP_CACHE_DIR=/var/cache/pip     sh /tmp/install.sh python /tmp/lock.txt", {
  Size: "956MB",
});

describe("the progress of a build", () => {
  it("names what is done with its size, and what is still to do", () => {
    expect(describeProgress([system, cuda], 134.6)).toBe(
      "2 min 14 s, to do: Python packages, checks; " +
        "done: Debian's packages (12.1MB), CUDA libraries (1.72GB)",
    );
  });

  it("says so when nothing is done yet", () => {
    expect(describeProgress([], 5)).toBe(
      "0 min 5 s, to do: Debian's packages, CUDA libraries, Python packages, checks; " +
        "done: nothing yet",
    );
  });

  it("leaves out what a former build made and this one has not come to", () => {
    expect(describeProgress([system, { ...cuda, InUse: "false" }], 5)).toContain(
      "to do: CUDA libraries, Python packages",
    );
  });

  it("leaves out pip's cache, which the engine keeps under the same words", () => {
    const cache = {
      ...cuda,
      Description: cuda.Description.replace("mount /", "cached mount /var"),
    };
    expect(describeProgress([system, cache], 5)).toContain("to do: CUDA libraries");
  });

  it("leaves nothing to do at the end", () => {
    const checks = record("python /checks/check.py immich");
    expect(describeProgress([system, cuda, python, checks], 300)).toBe(
      "5 min 0 s, to do: last touches; done: Debian's packages (12.1MB), " +
        "CUDA libraries (1.72GB), Python packages (956MB), checks",
    );
  });
});
