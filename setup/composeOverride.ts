import path from "node:path";

import { run, type Run } from "../util/run";
import type { FoundImmich } from "./findImmich";

/** What keeps `docker compose up` from starting its own machine learning again. */
export interface Override {
  /** The service it is about. */
  readonly text: string;
  /** The file beside the compose file; undefined where compose would not read it by itself. */
  readonly file: string | undefined;
  /** The compose file it belongs to. */
  readonly composeFile: string;
}

/** Undefined where compose does not run the machine learning. */
export function overrideFor({
  machineLearning,
  manager,
  composeFiles,
}: FoundImmich): Override | undefined {
  const service = machineLearning?.labels["com.docker.compose.service"];
  const [composeFile] = composeFiles;
  if (service === undefined || composeFile === undefined || !path.isAbsolute(composeFile)) {
    return undefined;
  }
  // Compose reads an override by itself only beside a file with one of its standard names.
  const match = /^((docker-)?compose)\.(ya?ml)$/.exec(path.basename(composeFile));
  const isRead = match && composeFiles.length === 1 && manager === "compose";
  return {
    // A service of a profile that nobody asks for does not start, and is no orphan.
    text: `services:\n  ${service}: { profiles: [replaced-by-immich-ml] }\n`,
    file: isRead
      ? path.join(path.dirname(composeFile), `${match[1]}.override.${match[3]}`)
      : undefined,
    composeFile,
  };
}

/** How writing it ended; `exists` for another override file, `missing` for a compose file that is gone. */
export type Written = "written" | "exists" | "missing" | "failed";

/** Beside the compose file, with its owner. In the runner that folder is reached by a container. */
const script = `
[ -e "$FOLDER/$COMPOSE" ] || exit 3
[ ! -e "$FOLDER/$FILE" ] || exit 4
cat >"$FOLDER/$FILE" && chown --reference "$FOLDER/$COMPOSE" "$FOLDER/$FILE"
`;

export async function writeOverride(
  { text, file, composeFile }: Override & { readonly file: string },
  runner: string | undefined,
  execute: Run = run,
): Promise<Written> {
  const names = { COMPOSE: path.basename(composeFile), FILE: path.basename(file) };
  const folder = path.dirname(file);
  const { code } =
    runner === undefined
      ? await execute("sh", ["-c", script], {
          stdin: text,
          environment: { ...names, FOLDER: folder },
        })
      : await execute(
          "docker",
          [
            ...["run", "--rm", "--interactive", "--network", "none", "--userns", "host"],
            ...["--security-opt", "label=disable"],
            ...["--mount", `type=bind,"src=${folder}",dst=/compose`],
            ...Object.entries(names).flatMap(([name, value]) => ["--env", `${name}=${value}`]),
            ...["--env", "FOLDER=/compose", "--entrypoint", "sh", runner, "-c", script],
          ],
          { stdin: text },
        );
  // Docker's own 125: the folder is gone.
  return ({ 0: "written", 3: "missing", 125: "missing", 4: "exists" } as const)[code] ?? "failed";
}
