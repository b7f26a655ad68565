import { nearestNames } from "../util/nearestNames";

/** What the best known weights of a model are called, where a name leaves them out. */
const usualWeights = ["openai", "webli", "v1"];

/**
 * The known models that a mistyped or shortened name may mean, at most three, best first: `ViT-B-32` and
 * OpenAI's own `openai/clip-vit-base-patch32` for `ViT-B-32__openai`, `buffalo_l-RK3588` for `buffalo_l`.
 */
export function nearestModels(name: string, known: readonly string[]): string[] {
  const wanted = letters(name);
  const weights = (model: string) => {
    const place = usualWeights.indexOf(model.split("__")[1] ?? "");
    return place < 0 ? usualWeights.length : place;
  };
  const withoutWeights = known
    .filter((model) => model.includes("__") && letters(model.split("__")[0]!) === wanted)
    .sort((left, right) => weights(left) - weights(right));
  const similar = [
    (model: string) => letters(model) === wanted,
    (model: string) =>
      model
        .toLowerCase()
        .split(/[^a-z0-9]+/)
        .includes(wanted),
    (model: string) => wanted.length > 3 && letters(model).includes(wanted),
    (model: string) => wanted.startsWith(letters(model)),
  ].flatMap((isMeant) => known.filter(isMeant));
  return [...new Set([...withoutWeights, ...nearestNames(name, known), ...similar])].slice(0, 3);
}

/** A name as different publishers spell it alike: without the owner, signs and words for sizes. */
function letters(name: string): string {
  return name
    .toLowerCase()
    .replace(/^.*\/(?!\d)/, "")
    .replace(/\bvit-(b|l|h)(?:ase|arge|uge)-patch/, "vit-$1-")
    .replace(/^clip-|px$/g, "")
    .replace(/[^a-z0-9]+/g, "");
}
