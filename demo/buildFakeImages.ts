import { ensureDockerEngine } from "./engine";
import { ensureFakeImages } from "./fakeImages";

/** Builds only the fake images: `node demo/bootstrap.mjs buildFakeImages.ts v2.7.5`. */
async function buildFakeImages(immichVersion = "v2.7.5"): Promise<void> {
  await ensureDockerEngine(console.log);
  const images = await ensureFakeImages(immichVersion, console.log);
  console.log(Object.values(images).join("\n"));
}

buildFakeImages(process.argv[2]).catch((error: Error) => {
  console.error(error.message);
  process.exitCode = 1;
});
