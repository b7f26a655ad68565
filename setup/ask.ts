import { findClipModel } from "../catalog/clipModels";
import { isWebUrl } from "../util/webUrl";
import {
  acceleratorOf,
  type Answers,
  choosePreset,
  chosenGpu,
  type Mirrors,
  mirrorNames,
  type Situation,
  wantsOtherClip,
} from "./plan";

/** What holds where nobody is asked. */
export function defaultAnswers(situation: Situation): Answers {
  const { immich, models } = situation;
  const isMultilingual = findClipModel(models?.clip ?? "")?.multilingual ?? false;
  const choice = choiceFor(situation, isMultilingual);
  return {
    isMultilingual,
    mirrors: mirrorsOf(process.env),
    takesOver: immich.machineLearning !== undefined,
    // A model that does not fit serves nobody.
    changesClip: choice !== undefined && !choice.currentFits,
  };
}

function choiceFor(situation: Situation, isMultilingual: boolean) {
  const { models, immich, version } = situation;
  const memory =
    acceleratorOf(situation) === "cuda" ? chosenGpu(situation)?.videoMemory : undefined;
  if (!memory || !models || immich.hasConfigFile) return undefined;
  return choosePreset(memory, models.clip, version, { isMultilingual, changesClip: true });
}

/** The mirror that the runner itself came from serves the images of `up`, too. */
function mirrorsOf(environment: NodeJS.ProcessEnv): Mirrors {
  const imageMirror = environment["IMMICH_ML_IMAGE_MIRROR"];
  return imageMirror ? { imageMirror } : {};
}

/** Asks; undefined when the questions were broken off. */
export async function ask(situation: Situation): Promise<Answers | undefined> {
  const standard = defaultAnswers(situation);
  const { models, immich } = situation;
  const old = immich.machineLearning;
  const clack = await import("@clack/prompts");

  const isMultilingual = await clack.select({
    message: "Which languages do you search in?",
    initialValue: standard.isMultilingual,
    options: [
      { value: false, label: "English only" },
      { value: true, label: "Another, or more than one" },
    ],
  });
  if (clack.isCancel(isMultilingual)) return undefined;

  const mirrors = await clack.text({
    message: "Mirrors, if your network is filtered (Enter for none)",
    placeholder: mirrorNames.map((name) => `${name}=…`).join(" "),
    initialValue: Object.entries(standard.mirrors)
      .map(([name, value]) => `${name}=${value}`)
      .join(" "),
    validate: (text) => mirrorProblem(text ?? ""),
  });
  if (clack.isCancel(mirrors)) return undefined;

  const takesOver =
    old === undefined
      ? false
      : await clack.confirm({
          message: `Replace ${old.name}? It runs until the new one works, and is kept so that you can go back.`,
          initialValue: true,
        });
  if (clack.isCancel(takesOver)) return undefined;

  const choice = choiceFor(situation, isMultilingual);
  const changesClip =
    choice && models && wantsOtherClip(choice, models.clip, isMultilingual)
      ? await clack.confirm({
          message: `Search with ${choice.clip} instead of ${models.clip}${choice.currentFits ? "" : ", which does not fit the card"}? Immich then has to index ${models.photos} photos again.`,
          initialValue: !choice.currentFits,
        })
      : false;
  if (clack.isCancel(changesClip)) return undefined;
  return { isMultilingual, mirrors: parseMirrors(mirrors ?? ""), takesOver, changesClip };
}

/** Words such as `packageIndex=https://…`. */
export function parseMirrors(text: string): Mirrors {
  return Object.fromEntries(
    text
      .split(/\s+/)
      .filter(Boolean)
      .map((word) => [word.slice(0, word.indexOf("=")), word.slice(word.indexOf("=") + 1)]),
  );
}

export function mirrorProblem(text: string): string | undefined {
  for (const [name, value] of Object.entries(parseMirrors(text))) {
    if (!mirrorNames.some((known) => known === name)) {
      return `${name || text} is not one of ${mirrorNames.join(", ")}`;
    }
    if (name === "imageMirror" ? !/^[^\s@/][^\s@]*$/.test(value) : !isWebUrl(value)) {
      return name === "imageMirror"
        ? "imageMirror must be a registry, such as mirror.example:5000"
        : `${name} must be a URL that begins with http:// or https://`;
    }
  }
  return undefined;
}
