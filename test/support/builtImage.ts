import path from "node:path";

import type { GpuFamilyName } from "../../catalog/gpuFamilies";
import { imageBuild } from "../../components/imageBuild";
import type { FakeImages } from "../../demo/fakeImages";
import { repositoryFolder } from "../../demo/folders";

/** The build arguments of an image variant on fake base images. */
export function fakeBuildArgs(
  gpuFamily: GpuFamilyName,
  immichVersion: string,
  images: FakeImages,
): Record<string, string> {
  return {
    ...imageBuild({
      gpuFamily,
      immichVersion,
      contextPath: path.join(repositoryFolder, "image"),
      pythonImage: gpuFamily === "kepler-maxwell" ? images.python310 : images.python311,
      immichImage: images.immichMachineLearning,
    }).buildArgs,
  };
}
