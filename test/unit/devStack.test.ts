import { readFileSync } from "node:fs";
import path from "node:path";

import { parse } from "yaml";
import { beforeAll, describe, expect, it, vi } from "vitest";

import {
  recordProgram,
  stackConfiguration,
  type RecordedResource,
} from "../support/recordedProgram";

// The world outside is not asked here; test/integration/preflight*.test.ts does that.
vi.mock("../../preflight", () => ({
  detectGpus: () => Promise.resolve({}),
  preflight: () =>
    Promise.resolve({
      database: { host: "172.18.0.3", port: 5432 },
      currentClipModel: "ViT-B-32__openai",
      optionalMounts: { attic: [] },
      aliases: {},
      databaseFunctions: {},
      drift: {},
      unreachableHosts: new Set(),
    }),
}));

/** The service as the text this stack follows gives it, but for the remarks. */
const composeService = parse(`
container_name: immich_machine_learning
image: immich-ml-legacy:latest
volumes:
  - model-cache:/cache
env_file:
  - .env
environment:
  - MACHINE_LEARNING_WORKERS=1
  - MACHINE_LEARNING_MAX_JOBS_PER_WORKER=1
  - MACHINE_LEARNING_MODEL_TTL=10
  - MACHINE_LEARNING_ANN_FP16_TURBO=false
  - DEVICE=cuda
deploy:
  resources:
    reservations:
      devices:
        - driver: nvidia
          count: 1
          capabilities: [gpu]
restart: always
`) as {
  container_name: string;
  image: string;
  volumes: string[];
  env_file: string[];
  environment: string[];
  deploy: { resources: { reservations: { devices: unknown[] } } };
  restart: string;
};

let resources: RecordedResource[];
let outputs: Record<string, unknown>;

beforeAll(async () => {
  const config = stackConfiguration("Pulumi.dev.yaml");
  ({ resources, outputs } = await recordProgram("dev", {
    ...config,
    "immich-ml:databasePassword": "the database's password",
  }));
});

const find = (type: string, name: string) =>
  resources.find((resource) => resource.type === type && resource.name === name)!;

describe("the dev stack", () => {
  it("registers these resources and no others", () => {
    expect(resources.map(({ type, name }) => `${type} ${name}`)).toMatchInlineSnapshot(`
      [
        "command:local:Command attic-check",
        "command:local:Command preset-apply",
        "command:local:Command preset-settings",
        "docker:index/container:Container attic",
        "docker:index/remoteImage:RemoteImage attic-image",
        "docker:index/volume:Volume attic-cache",
        "immich-ml:index:LegacyImage attic-image",
        "immich-ml:index:MachineLearning attic",
        "immich-ml:index:ModelCache attic-cache",
        "immich-ml:index:ModelPreset preset",
        "postgresql:index/function:Function preset-read-settings",
        "postgresql:index/function:Function preset-write-settings",
        "postgresql:index/schema:Schema preset-schema",
        "pulumi:providers:docker docker-local",
        "pulumi:providers:postgresql immich-database",
      ]
    `);
  });

  it("runs the container that the compose service describes, field by field", () => {
    const { inputs } = find("docker:index/container:Container", "attic");
    const image = find("docker:index/remoteImage:RemoteImage", "attic-image").inputs;
    const volume = find("docker:index/volume:Volume", "attic-cache").inputs;

    const check = find("command:local:Command", "attic-check").inputs["environment"];
    expect(check).toMatchObject({ IMMICH_ML_NAME: composeService.container_name });
    expect(image["name"]).toMatch(/^immich-ml-legacy:v2\.7\.5-onnxruntime1\.14\.1-[0-9a-f]{12}$/);
    expect(inputs["image"]).toBe("sha256:attic-image");
    expect([`${String(volume["name"])}:/cache`]).toEqual(composeService.volumes);
    expect(inputs["volumes"]).toEqual([{ containerPath: "/cache", volumeName: "model-cache" }]);
    expect(inputs["envs"]).toEqual(expect.arrayContaining(composeService.environment));
    expect(inputs["deviceRequests"]).toEqual(composeService.deploy.resources.reservations.devices);
    expect(inputs["restart"]).toBe(composeService.restart);
  });

  it("asks for exactly this container", () => {
    const { inputs } = find("docker:index/container:Container", "attic");
    const { healthcheck } = inputs as { healthcheck: { tests: string[] } };
    const file = path.join(__dirname, "..", "..", "verify", "gpuHealthcheck.py");
    const program = readFileSync(file, "utf8");
    const tests = healthcheck.tests.map((word) => (word === program ? "the program" : word));
    const shown = { ...inputs, healthcheck: { ...healthcheck, tests } };
    expect(shown).toMatchInlineSnapshot(`
      {
        "capabilities": {
          "drops": [
            "ALL",
          ],
        },
        "destroyGraceSeconds": 30,
        "deviceRequests": [
          {
            "capabilities": [
              "gpu",
            ],
            "count": 1,
            "driver": "nvidia",
          },
        ],
        "envs": [
          "DEVICE=cuda",
          "MACHINE_LEARNING_ANN_FP16_TURBO=false",
          "MACHINE_LEARNING_MAX_BATCH_SIZE__FACIAL_RECOGNITION=1",
          "MACHINE_LEARNING_MAX_JOBS_PER_WORKER=1",
          "MACHINE_LEARNING_MODEL_TTL=10",
          "MACHINE_LEARNING_REQUEST_THREADS=1",
          "MACHINE_LEARNING_WORKERS=1",
        ],
        "healthcheck": {
          "interval": "10s",
          "retries": 3,
          "startPeriod": "2m0s",
          "tests": [
            "CMD",
            "python3",
            "-c",
            "the program",
            "50",
            "restart",
          ],
          "timeout": "20s",
        },
        "image": "sha256:attic-image",
        "labels": [
          {
            "label": "org.immich-ml.host",
            "value": "immich-ml/dev/attic",
          },
          {
            "label": "org.immich-ml.project",
            "value": "immich-ml",
          },
          {
            "label": "org.immich-ml.stack",
            "value": "dev",
          },
        ],
        "logDriver": "json-file",
        "logOpts": {
          "max-file": "3",
          "max-size": "10m",
        },
        "mustRun": false,
        "networksAdvanced": [
          {
            "aliases": [
              "immich-machine-learning",
            ],
            "name": "immich_default",
          },
        ],
        "restart": "always",
        "securityOpts": [
          "no-new-privileges:true",
        ],
        "start": false,
        "stopTimeout": 30,
        "volumes": [
          {
            "containerPath": "/cache",
            "volumeName": "model-cache",
          },
        ],
      }
    `);
  });

  it("sets exactly this in Immich's configuration", () => {
    expect(outputs["systemConfig"]).toMatchInlineSnapshot(`
      {
        "job.faceDetection.concurrency": 1,
        "job.ocr.concurrency": 1,
        "job.smartSearch.concurrency": 1,
        "machineLearning.clip.enabled": true,
        "machineLearning.clip.modelName": "ViT-B-32__openai",
        "machineLearning.facialRecognition.enabled": true,
        "machineLearning.facialRecognition.modelName": "buffalo_s",
        "machineLearning.ocr.enabled": false,
        "machineLearning.urls": [
          "http://immich-machine-learning:3003",
        ],
      }
    `);
  });

  it("tells where each host is and what runs there", () => {
    expect(outputs["machineLearning"]).toMatchInlineSnapshot(`
      [
        {
          "accelerator": "cuda",
          "containerId": "attic-id",
          "containerName": "immich_machine_learning",
          "dockerHost": "unix:///var/run/docker.sock",
          "executionProvider": "CUDAExecutionProvider",
          "host": "attic",
          "image": "sha256:attic-image",
          "imageVariant": "kepler-maxwell",
          "models": [
            {
              "model": "clip/ViT-B-32__openai",
              "notVerified": "mocked",
              "parts": [],
            },
            {
              "model": "facial-recognition/buffalo_s",
              "notVerified": "mocked",
              "parts": [],
            },
          ],
          "url": "http://immich-machine-learning:3003",
        },
      ]
    `);
  });
});
