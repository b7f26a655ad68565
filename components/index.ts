export * from "./legacyImage";
export * from "./machineLearning";
export * from "./modelCache";
export * from "./modelPreset";
