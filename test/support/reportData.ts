import type { ReportData } from "../../cli/report/reportData";

function part(name: string, milliseconds: number, cpuMilliseconds: number) {
  const provider = "CUDAExecutionProvider";
  return { part: name, device: "0", provider, milliseconds, cpuMilliseconds, fallbackOps: [] };
}

/** A stack with every part of a report and two hosts: one with a GPU of 2 GB, one unreachable. */
export function exampleReport(): ReportData {
  return {
    stack: { answer: "dev" },
    made: new Date("2026-11-24T19:05:00Z"),
    immichVersion: "v2.7.5",
    hosts: {
      answer: [
        {
          host: "attic",
          accelerator: "cuda",
          health: "healthy",
          restarts: 0,
          image: "sha256:4f2c1a9b77d05e3368c0",
          immichVersion: "v2.7.5",
          provider: "CUDAExecutionProvider",
          gpus: [{ name: "NVIDIA GeForce GTX 750 Ti", used: 1130, free: 870 }],
          models: [
            { name: "clip/ViT-B-32__openai", size: 593 },
            { name: "facial-recognition/buffalo_s", size: 19 },
          ],
          gpu: { name: "NVIDIA GeForce GTX 750 Ti", videoMemory: 2000, source: "driver" },
          check: {
            at: new Date("2026-11-24T18:40:00Z"),
            check: {
              ok: true,
              provider: "CUDAExecutionProvider",
              devices: [
                {
                  device: "0",
                  gpu: "NVIDIA GeForce GTX 750 Ti",
                  milliseconds: 3.1,
                  operators: {},
                  fallbackOps: [],
                  maximumDifference: 0.000004,
                },
              ],
              models: [
                {
                  model: "clip/ViT-B-32__openai",
                  serverMilliseconds: 61.2,
                  parts: [part("visual", 14.2, 173.9), part("textual", 7.9, 61.4)],
                },
                {
                  model: "facial-recognition/buffalo_s",
                  parts: [],
                  notVerified: "is not in the cache",
                },
              ],
            },
          },
        },
        {
          host: "cellar",
          accelerator: "cuda",
          health: "unknown",
          problem: "Docker at ssh://me@cellar does not answer",
          gpu: { name: "GeForce GTX 970", videoMemory: 4096, source: "stack file" },
        },
      ],
    },
    settings: [
      {
        key: "machineLearning.clip.modelName",
        declared: "ViT-B-32__openai",
        actual: "RN50__openai",
        agrees: false,
      },
      {
        key: "machineLearning.facialRecognition.modelName",
        declared: "buffalo_s",
        actual: "buffalo_s",
        agrees: true,
      },
      { key: "machineLearning.ocr.enabled", declared: false, actual: false, agrees: true },
    ],
    queues: [{ queue: "smartSearch", waiting: 41, active: 1, failed: 2 }],
    history: {
      answer: [
        {
          kind: "update",
          result: "succeeded",
          message: "the smallest models for the small card",
          began: new Date("2026-11-24T18:36:00Z"),
          ended: new Date("2026-11-24T18:40:12Z"),
          changes: { create: 2, update: 1, same: 14, delete: 0 },
        },
        {
          kind: "update",
          result: "failed",
          message: "",
          began: new Date("2026-11-23T10:00:00Z"),
          ended: new Date("2026-11-23T10:02:00Z"),
          changes: { create: 11 },
        },
      ],
    },
    readings: [410, 1320, 1130].map((used, day) => ({
      at: `2026-11-2${day + 2}T19:05:00Z`,
      of: "attic, NVIDIA GeForce GTX 750 Ti",
      used,
      total: 2000,
    })),
  };
}
