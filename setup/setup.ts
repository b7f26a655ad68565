import path from "node:path";

import { runCommand } from "../cli/command";
import { run } from "../util/run";
import { sanitizeLines } from "../util/sanitize";
import { homeFolder, passphraseFile } from "../util/stackFolder";
import { ask, defaultAnswers } from "./ask";
import { overrideFor, writeOverride } from "./composeOverride";
import { existingStackFile, stackFileOf, writeStack } from "./home";
import { look } from "./look";
import { makePlan } from "./plan";
import { differences, stackFileText } from "./stackFile";
import { foundText, planText } from "./summary";

const usage = `Looks at Immich on the Docker engine, asks a few questions and writes a stack file.

  ./immich-ml setup [--yes] [--dry-run] [--replace] [--immich NAME]
  npm run setup -- [the same]

  --yes         answers every question with its default
  --dry-run     prints the stack file and changes nothing
  --replace     overwrites a stack file that differs; keeps the former one as .before
  --immich      the server's container or compose project, if there is more than one Immich`;

const options = {
  yes: { type: "boolean", default: false },
  "dry-run": { type: "boolean", default: false },
  replace: { type: "boolean", default: false },
  immich: { type: "string" },
} as const;

/** The runner's image where the launcher started this. */
const runner = process.env["IMMICH_ML_RUNNER"];
const launcher = runner === undefined ? "pulumi" : "./immich-ml";

runCommand({ usage, options, allowPositionals: false }, async (values) => {
  const isTerminal = process.stdin.isTTY === true && process.stdout.isTTY === true;
  const asks = isTerminal && !values.yes && !values["dry-run"];
  if (!isTerminal && !values.yes && !values["dry-run"]) {
    throw new Error("setup asks questions: run it in a terminal, or add --yes or --dry-run");
  }
  const found = await look(
    process.env["DOCKER_HOST"] ?? "unix:///var/run/docker.sock",
    values.immich,
    run,
  );
  const { situation } = found;
  console.log(`${foundText(found)}\n`);
  const answers = asks ? await ask(situation) : defaultAnswers(situation);
  if (!answers) return stopped();
  const plan = makePlan(situation, answers);

  const home = homeFolder();
  const file = stackFileOf(home);
  if (values["dry-run"]) {
    console.log(`${file}, not written:\n\n${stackFileText(plan.config)}`);
    console.log(planText(plan, launcher));
    return 0;
  }
  const former = await existingStackFile(home);
  const changes = former === undefined ? [] : differences(former, plan.config);
  if (changes.length > 0) {
    console.log(sanitizeLines(`${file} differs:\n  ${changes.join("\n  ")}`));
    const replaces = values.replace || (asks && (await agrees("Overwrite it?", false)));
    if (!replaces) {
      console.log("The file was left as it is; setup --replace overwrites it.");
      return 1;
    }
  }
  if (former === undefined || changes.length > 0) {
    const secrets: Record<string, string> =
      plan.config["preset"] === undefined ? {} : { databasePassword: found.password };
    const checkout = process.env["IMMICH_ML_CHECKOUT"] ?? path.join(__dirname, "..");
    const { isNewPassphrase } = await writeStack(home, checkout, plan.config, secrets);
    console.log(`${file}\n\n${stackFileText(plan.config)}`);
    if (isNewPassphrase) {
      console.log(
        `The passphrase for its secrets is in ${passphraseFile(home)}: keep it, and back up the whole folder.\n`,
      );
    }
  } else {
    console.log(`${file} is up to date.\n`);
  }
  console.log(planText(plan, launcher));
  if (answers.takesOver) await offerOverride(situation.immich, asks);
  console.log(
    `\nNext: ${runner === undefined ? `cd ${home} && PULUMI_CONFIG_PASSPHRASE_FILE=passphrase pulumi up` : "./immich-ml up"}`,
  );
  return 0;
});

/** Compose would start its own machine learning again at the next `docker compose up`. */
async function offerOverride(immich: Parameters<typeof overrideFor>[0], asks: boolean) {
  const override = overrideFor(immich);
  // Another manager has its own copy of the file.
  if (override === undefined || immich.manager !== "compose") {
    console.log(`\n${withoutCompose[immich.manager]}`);
    return;
  }
  const { text, file, composeFile } = override;
  const where = file ?? `an override file of ${composeFile}`;
  console.log(
    `\nTo keep compose from starting its own container again, ${where} needs:\n\n${text}`,
  );
  if (file === undefined || !asks || !(await agrees(`Write ${file}?`, true))) return;
  console.log(
    {
      written: `Written: ${file}`,
      exists: `${file} already exists and is unchanged: add these lines to it.`,
      missing: `${composeFile} no longer exists, so nothing was written.`,
      failed: `${file} could not be written: write it by hand.`,
    }[await writeOverride({ ...override, file }, runner)],
  );
}

/** How the other managers are kept from starting the old container again. */
const withoutCompose = {
  compose:
    "If a compose file elsewhere runs the old container, give its service a profile there, so that compose does not start it again.",
  portainer:
    "In Portainer, delete the service immich-machine-learning in the stack's editor, or the next update of the stack starts it again.",
  truenas:
    "In TrueNAS, edit the app and switch its machine learning off, or the next update of the app starts it again.",
  unraid: "In Unraid's Docker tab, switch the old container's autostart off.",
  "app platform":
    "In the program that manages Immich (CasaOS, Coolify, Dokploy, Komodo, Runtipi, Umbrel), take immich-machine-learning out of its compose file, or an update starts it again.",
  "docker run": "The old container's restart policy is set to no, so it stays stopped.",
} as const;

async function agrees(message: string, initialValue: boolean): Promise<boolean> {
  const clack = await import("@clack/prompts");
  return (await clack.confirm({ message, initialValue })) === true;
}

function stopped(): number {
  console.log("Cancelled; nothing was changed.");
  return 130;
}
