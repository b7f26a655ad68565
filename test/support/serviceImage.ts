import { readFileSync } from "node:fs";
import path from "node:path";

import { repositoryFolder } from "../../demo/folders";
import type { PrivateEngine } from "./privateEngine";
import { fakes } from "./docker";

/**
 * Builds a small image of the fake server with the CPU's ONNX Runtime on a private engine, without what nothing
 * runs: it is copied to each engine, and pushed and pulled.
 *
 * @param variation further lines of the Dockerfile
 * @returns its name on that engine
 */
export async function buildServiceImage(engine: PrivateEngine, variation = ""): Promise<string> {
  const { python311, immichMachineLearning } = await fakes();
  const id = await engine.build(
    `FROM ${immichMachineLearning} AS immich
FROM ${python311}
RUN pip install --quiet onnxruntime==1.20.1 numpy==1.26.4 onnx==1.17.0 fastapi==0.115.6 \\
    uvicorn==0.34.0 pillow==11.0.0 python-multipart==0.0.20 && \\
    pip uninstall --quiet --yes sympy mpmath && \\
    find / -xdev -type d -name tests -path '*-packages/*' -prune -exec rm -r {} + && \\
    rm -r /usr/local/lib/python3.11/dist-packages/onnx/backend/test/data
COPY --from=immich /usr/src /usr/src
COPY serve.py /opt/serve.py
WORKDIR /usr/src
ENV PYTHONUNBUFFERED=1 PYTHONPATH=/usr/src
CMD ["python3", "/opt/serve.py"]
${variation}
`,
    { "serve.py": readFileSync(path.join(repositoryFolder, "image/serve.py"), "utf8") },
  );
  return engine.docker("image", "inspect", "--format", "{{index .RepoTags 0}}", id);
}

/** Debian's registry instead of Docker's, on a private engine. */
export async function buildRegistryImage(engine: PrivateEngine): Promise<string> {
  const { python310 } = await fakes();
  const config = JSON.stringify({
    version: 0.1,
    storage: { filesystem: { rootdirectory: "/var/lib/registry" } },
    http: { addr: ":5000" },
  });
  const id = await engine.build(
    `FROM ${python310}
RUN apt-get update && apt-get install -y --no-install-recommends docker-registry && rm -rf /var/lib/apt/lists/*
COPY config.yml /etc/docker/registry/config.yml
CMD ["docker-registry", "serve", "/etc/docker/registry/config.yml"]
`,
    { "config.yml": config },
  );
  return engine.docker("image", "inspect", "--format", "{{index .RepoTags 0}}", id);
}
