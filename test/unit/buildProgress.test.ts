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
  it("names what was made with its size, the latest first: a terminal cuts the line", () => {
    expect(describeProgress([system, cuda], 134.6)).toBe(
      "2 min 14 s, made so far: CUDA libraries (1.72GB), Debian's packages (12.1MB)",
    );
  });

  it("says so when nothing was made yet", () => {
    expect(describeProgress([], 5)).toBe("0 min 5 s, made so far: nothing new");
  });

  it("leaves out what no build has in its hands", () => {
    expect(describeProgress([system, { ...cuda, InUse: "false" }], 5)).not.toContain("CUDA");
  });

  it("leaves out pip's cache, which the engine keeps under the same words", () => {
    const cache = {
      ...cuda,
      Description: cuda.Description.replace("mount /", "cached mount /var"),
    };
    expect(describeProgress([system, cache], 5)).not.toContain("CUDA");
  });

  it("names all at the end", () => {
    const checks = record("python /checks/check.py immich");
    expect(describeProgress([system, cuda, python, checks], 300)).toBe(
      "5 min 0 s, made so far: checks, Python packages (956MB), CUDA libraries (1.72GB), " +
        "Debian's packages (12.1MB)",
    );
  });
});
