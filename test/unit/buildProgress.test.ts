import { describe, expect, it } from "vitest";

import { describeFailure, describeProgress } from "../../components/buildLog";

/** As BuildKit's plain log looks, which interleaves the steps that run at the same time. */
const begun = `#0 building with "default" instance using docker driver

#1 [internal] load build definition from Dockerfile
#1 transferring dockerfile: 6.1kB done
#1 DONE 0.0s

#5 [system 1/3] FROM docker.io/library/python:3.10-slim-bookworm
#5 DONE 0.0s
`;
const system = `
#6 [system 3/3] RUN sh /tmp/system.sh && rm /tmp/system.sh
#6 0.301 Get:1 http://mirror.example.org/debian bookworm InRelease [151 kB]
`;
const cuda = `
#8 [cuda 3/3] RUN --mount=type=cache,target=/var/cache/pip PIP_CACHE_DIR=/var/cache/pip     sh /tmp/install.sh cuda /tmp/lock.txt /opt/cuda
#8 1.204 Collecting nvidia-cublas-cu11==11.11.3.6
#8 3.010   Downloading nvidia_cublas_cu11-11.11.3.6-py3-none-manylinux1_x86_64.whl (417.9 MB)
`;
const python = `
#9 [dependencies 3/3] RUN --mount=type=cache,target=/var/cache/pip     sh /tmp/install.sh python /tmp/lock.txt /opt/venv
#9 0.900 Collecting numpy==1.26.4
`;

describe("the progress of a build", () => {
  it("claims no step that has not begun", () => {
    expect(describeProgress(begun, 5)).toBe("0 min 5 s: base images and files");
    expect(describeProgress(begun + system, 5)).not.toContain("CUDA");
  });

  it("names the steps that run with their last lines, then what is done, the latest first", () => {
    expect(describeProgress(`${begun}${system}\n#6 DONE 20.1s\n${cuda}${python}`, 134.6)).toBe(
      "2 min 14 s: CUDA libraries (Downloading nvidia_cublas_cu11-11.11.3.6-py3-none-manylinux1…), " +
        "Python packages (Collecting numpy==1.26.4); done: Debian's packages",
    );
  });

  it("leaves out what an earlier build made", () => {
    const cached = `${begun}\n#6 [system 3/3] RUN sh /tmp/system.sh\n#6 CACHED\n${cuda}`;
    expect(describeProgress(cached, 60)).not.toContain("Debian");
  });

  it("does not let a step's output rewrite the terminal", () => {
    expect(describeProgress(`${begun}${cuda}#8 4.0 \u001b[2Jboom\n`, 60)).toContain(
      "\\u001b[2Jboom",
    );
  });
});

describe("a build that failed", () => {
  const failure =
    'process "/bin/sh -c sh /tmp/install.sh cuda /tmp/lock.txt /opt/cuda" did not complete successfully: exit code: 1';
  const reason =
    "ERROR: No matching distribution found for nvidia-cublas-cu11==11.11.3.6 (from versions: none)";

  it("shows the failing step's own last lines and the known cure", () => {
    const log = `${begun}${cuda}${python}#8 9.1 ${reason}\n#8 ERROR: ${failure}\n#9 CANCELED\n------\n > [cuda 3/3] RUN:\n9.1 ${reason}\n------\n`;
    const lines = describeFailure(log)!.split("\n");
    expect(lines[0]).toBe(
      'the image cannot be built: the step "CUDA libraries" failed. Its last lines:',
    );
    expect(lines).toContain(`  | ${reason}`);
    expect(lines.at(-2)).toBe(`  ${failure}`);
    expect(lines.at(-1)).toContain("What to do: the package index does not have the package");
  });

  it("shows check.py's own line", () => {
    const line =
      "image check FAILED: cannot import: cannot import name 'DownloadFile' from 'rapidocr.utils.download_file'";
    const log = `${begun}
#20 [stage-5 14/20] RUN --mount=type=bind,source=checks,target=/checks python /checks/check.py immich
#20 2.310 ${line}
#20 ERROR: executor failed running [/bin/sh -c python /checks/check.py immich]: exit code: 1
`;
    expect(describeFailure(log)).toContain(`  | ${line}\n`);
    expect(describeFailure(log)).toContain("choose another release of Immich");
  });

  it("shows the error itself of a step without output, such as a base image", () => {
    const error =
      'failed to do request: Head "https://registry-1.docker.io/v2/library/python/manifests/3.10": dial tcp: lookup registry-1.docker.io: no such host';
    const log = `#2 [internal] load metadata for docker.io/library/python:3.10\n#2 ERROR: ${error}\n`;
    expect(describeFailure(log)).toContain(`  | ${error}\nWhat to do: Docker Hub`);
  });

  it("shows no password of an address", () => {
    const log = `${begun}${cuda}#8 9.1 ERROR: http://me:hunter2@proxy:3128 refuses\n#8 ERROR: ${failure}\n`;
    expect(describeFailure(log)).not.toContain("hunter2");
  });

  it("is none while no step has failed", () => {
    expect(describeFailure(begun + cuda)).toBeUndefined();
  });
});
