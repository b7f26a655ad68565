import { canonicalClipName, defaultClipModel, findClipModel } from "../catalog/clipModels";
import { clipModelKey } from "../catalog/systemConfigKeys";
import type { SavedState } from "./reconcile";

/**
 * What a change of the CLIP model does to the photos' search, to be logged before it is made;
 * undefined without a change.
 *
 * @param before the model Immich uses now, undefined where that is unknown
 */
export function clipChangeWarning(
  before: string | undefined,
  after: string | undefined,
  how: { readonly store: "database" | "api"; readonly embeddings: "clear" | "keep" },
): string | undefined {
  if (before === undefined || after === undefined) return undefined;
  if (canonicalClipName(before) === canonicalClipName(after)) return undefined;
  const change = `The CLIP model changes from ${before} to ${after}`;
  const again =
    "Search finds nothing until the job Smart Search has run (Administration, Job Queues)";
  const old = findClipModel(before)?.embeddingDimension;
  const next = findClipModel(after)?.embeddingDimension;
  if (old !== next) {
    const dimension = `another embedding dimension (${old ?? "unknown"} to ${next ?? "unknown"})`;
    const when = how.store === "api" ? "at once" : "at its next start";
    return `${change}, ${dimension}: Immich deletes every embedding ${when}. ${again}.`;
  }
  if (how.store === "database" && how.embeddings === "keep") {
    return (
      `${change}, and the former embeddings are kept. They do not match the new model, ` +
      "so search gives wrong results until the job Smart Search has run for All."
    );
  }
  return `${change}: the former model's embeddings are deleted. ${again}.`;
}

/** What another face model means for the people in the photos, to be logged before the change. */
export function faceChangeWarning(before: string, after: string, redetects: boolean): string {
  const change = `The face model changes from ${before} to ${after}`;
  return redetects
    ? `${change}, and redetectFacesLosingNames is set: Immich deletes every face and the NAMES OF ALL PEOPLE, then detects faces again.`
    : `${change}: faces that Immich already has stay as the former model saw them, so Immich often fails to recognise these people in new photos. Detecting all faces again would delete the names of all people, so it is not started.`;
}

/** What `pulumi destroy` does to models and search, in one sentence. */
export function destroyHint(
  saved: SavedState | undefined,
  onDestroy: "keepModel" | "restoreModel",
): string {
  const model = saved?.previous?.[clipModelKey];
  const rest = "restores the former settings";
  if (model === undefined) return `${rest}; search keeps working`;
  const written = String(JSON.parse(model.written));
  const former = "value" in model ? String(JSON.parse(model.value)) : defaultClipModel;
  if (canonicalClipName(former) === canonicalClipName(written)) {
    return `${rest}; the CLIP model is ${written} before and after, so search keeps working`;
  }
  return onDestroy === "keepModel"
    ? `${rest} but keeps the CLIP model ${written}, so search keeps working`
    : `${rest}, including the CLIP model ${former}: Immich deletes every embedding, and search finds nothing until the job Smart Search has run for All`;
}
