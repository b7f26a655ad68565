export * from "./distributedImage";
export * from "./legacyImage";
export * from "./machineLearning";
export * from "./machineLearningService";
export * from "./modelCache";
export * from "./modelPreset";
export type { DockerClientArgs, Hardening, ResourceLimits, ServerArgs } from "./server";
