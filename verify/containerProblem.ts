import { findKnownError, hintOf, type Place } from "../catalog/knownErrors";
import { sanitize } from "../util/sanitize";
import type { InspectedContainer } from "./status";

/** Why a container does not serve, in one line, from what Docker answers. */

/** Characters of a program's own message that ours quote. */
const maxQuoteLength = 200;

/** Whether something keeps the container from serving, so that its log is worth a look. */
export function isTroubled({ State, RestartCount }: InspectedContainer): boolean {
  const { Running, Restarting = false, Health } = State;
  if (!Running || Restarting || Health?.Status === "unhealthy") return true;
  return RestartCount > 0 && Health !== undefined && Health.Status !== "healthy";
}

/** @param log the container's last lines */
export function containerProblem({ State, RestartCount }: InspectedContainer, log: string): string {
  const { Status, Restarting = false, ExitCode = 0, OOMKilled = false, Running } = State;
  const code = ExitCode === 0 ? "" : ` (exit code ${ExitCode})`;
  const what =
    Restarting || (Running && RestartCount > 0)
      ? `it keeps restarting${code}`
      : Running
        ? "its health check fails"
        : Status === "created"
          ? "Docker could not start it"
          : `it has ended${code}`;
  if (State.Error) return `${what}: ${explained(State.Error, "start")}`;
  const ends = `${OOMKilled ? "\nOOMKilled" : ""}${code && `\nexit code: ${ExitCode}`}`;
  const reason = explained(log + ends, "log", log);
  return reason === "" ? what : `${what}: ${reason}`;
}

/**
 * What nvidia-smi complains of in a container that was given a card; undefined when it answers well.
 *
 * @param isVerified whether the card has computed in it: then a missing nvidia-smi says nothing
 */
export function gpuProblem(output: string, isVerified = false): string | undefined {
  const found = findKnownError(output, "nvidia-smi");
  if (isVerified && found?.name === "no-nvidia-smi") return undefined;
  return found && `${quote(output)}: ${hintOf(found)}`;
}

/** The cause and the cure of the first known error, or the last line. */
function explained(text: string, place: Place, quoted = text): string {
  const found = findKnownError(text, place);
  return found ? hintOf(found) : quote(quoted);
}

function quote(text: string): string {
  const lines = text.split("\n").filter((line) => line.trim() !== "");
  return sanitize(lines.at(-1)?.trim() ?? "", maxQuoteLength);
}
