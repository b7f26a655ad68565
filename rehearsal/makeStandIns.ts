import { ensureDockerEngine } from "./engine";
import { ensureStandInImages } from "./standInImages";

/** Makes the stand-in images alone: `node rehearsal/bootstrap.mjs makeStandIns.ts v2.7.5`. */
async function makeStandIns(immichVersion = "v2.7.5"): Promise<void> {
  await ensureDockerEngine(console.log);
  const images = await ensureStandInImages(immichVersion, console.log);
  console.log(Object.values(images).join("\n"));
}

makeStandIns(process.argv[2]).catch((error: Error) => {
  console.error(error.message);
  process.exitCode = 1;
});
