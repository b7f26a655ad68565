import { canonicalClipName, findClipModel } from "../catalog/clipModels";

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
    return `${change}, ${dimension}: Immich rebuilds its embeddings' column ${when} and drops every embedding. ${again}.`;
  }
  if (how.store === "database" && how.embeddings === "keep") {
    return (
      `${change} of the same dimension and embeddings are to be kept: old and new ones are not comparable, ` +
      "so search gives wrong results until the job Smart Search has run for All."
    );
  }
  return `${change}: the embeddings of the old model are cleared. ${again}.`;
}
