import { accelerators, isAcceleratorName } from "../../catalog/accelerators";
import { time, type Tone } from "./elements";
import type { HostReport, ReportData } from "./reportData";

/** One thing about a host or about Immich, the worst first. */
export interface Finding {
  readonly tone: Tone;
  readonly title: string;
  /** Evidence, or the reason. */
  readonly text: string;
  readonly whatToDo?: string | undefined;
}

/** What a report says on top: whether the GPU is in use, or what is wrong. */
export interface Verdict {
  readonly tone: Tone;
  readonly title: string;
  readonly findings: readonly Finding[];
}

const order: readonly Tone[] = ["bad", "warn", "good"];

export function verdictOf({ hosts, settings, immichProblem }: ReportData): Verdict {
  if (hosts.answer === undefined)
    return { tone: "warn", title: "Nothing is known about this stack", findings: [] };
  if (hosts.answer.length === 0)
    return { tone: "warn", title: "This stack has no host yet", findings: [] };
  const differing = settings.filter(({ agrees }) => agrees === false).map(({ key }) => key);
  const findings = [
    ...hosts.answer.map(findingOf),
    ...(differing.length === 0
      ? []
      : [
          {
            tone: "warn" as const,
            title: "Immich's settings differ from the stack file",
            text: differing.join(", "),
            whatToDo: "./immich-ml preview shows each one, ./immich-ml up repairs them.",
          },
        ]),
    ...(immichProblem === undefined
      ? []
      : [{ tone: "warn" as const, title: "Immich did not answer", text: immichProblem }]),
  ].sort((left, right) => order.indexOf(left.tone) - order.indexOf(right.tone));
  const { tone, title } = findings[0]!;
  const others = findings.filter((finding) => finding.tone !== "good").length;
  return {
    tone,
    title:
      tone === "good" ? inUse(hosts.answer) : others > 1 ? `${others} things need a look` : title,
    findings,
  };
}

function findingOf(host: HostReport): Finding {
  const { host: name, accelerator, health, problem, check: last } = host;
  const say = (tone: Tone, title: string, text: string, whatToDo?: string): Finding => ({
    tone,
    title: `${name} ${title}`,
    text,
    whatToDo,
  });
  const log = "./immich-ml check tells why; docker logs shows the container's last lines.";
  if (problem !== undefined) return say("warn", "does not answer", problem);
  if (!["healthy", "starting", "running"].includes(health))
    return say("bad", "does not work", `Its container is ${health}.`, log);
  if (last === undefined)
    return say(
      "warn",
      "was never checked",
      "Whether it computes is not known.",
      "./immich-ml check",
    );
  const { check, at } = last;
  const when = at ? `, checked ${time(at)}` : "";
  if (!check.ok) return say("bad", "does not compute", check.error, check.hint ?? undefined);
  if (check.provider === "CPUExecutionProvider" && accelerator !== "cpu")
    return say("bad", "computes on its CPU", `Its ${kindOf(host)} is not in use${when}.`, log);
  if (health === "starting") return say("warn", "is starting", "Its container is not healthy yet.");
  if (check.notExecuted)
    return say("warn", "was not seen computing", `${check.provider} is loaded${when}.`);
  const names = [...new Set(check.devices.map(({ gpu }) => gpu ?? check.provider))].join(", ");
  return say("good", "is in use", `${names}${when}`);
}

function inUse(hosts: readonly HostReport[]): string {
  const kinds = [...new Set(hosts.map(kindOf))];
  const [kind = ""] = kinds;
  const devices = hosts.flatMap(({ check }) => (check?.check.ok ? check.check.devices : []));
  if (kinds.length > 1) return "All your machines are in use";
  return devices.length > 1 ? `Your ${kind}s are in use` : `Your ${kind} is in use`;
}

function kindOf({ accelerator }: HostReport): string {
  if (accelerator === "cpu") return "CPU";
  return accelerator === "rknn" || !isAcceleratorName(accelerator) ? "accelerator" : "GPU";
}

/** The kind of hardware, in words. */
export function hardwareOf(accelerator: string): string {
  if (accelerator === "cpu") return "CPU";
  return isAcceleratorName(accelerator) ? accelerators[accelerator].title : accelerator;
}
