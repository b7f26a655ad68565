import type { DetectedGpu, HostSettings } from "../config/load";
import type { Run } from "../util/run";
import { type Answer, unanswered } from "../util/docker";
import { probeHost } from "./hostProbe";
import { selectedGpus } from "./nvidiaChecks";

/** The GPU that decides for a host with `gpu: auto`: the oldest of those its container gets. */
export async function detectGpu(host: HostSettings, run: Run): Promise<Answer<DetectedGpu>> {
  const probe = await probeHost(host, run);
  if (!probe.ok) return probe;
  const { machine } = probe.value;
  if (!machine) {
    return unanswered(
      `${host.dockerHost} reaches only the Docker engine, so nvidia-smi cannot be asked there; name the card in gpu`,
    );
  }
  if (!machine.ok) return machine;
  const { nvidia } = machine.value;
  if (!nvidia.ok) return nvidia;
  const [oldest] = [...selectedGpus(host.gpus, nvidia.value)].sort(
    (a, b) => Number(a.computeCapability ?? 0) - Number(b.computeCapability ?? 0),
  );
  if (!oldest) return unanswered("gpus selects none of the host's cards");
  const { name, computeCapability, videoMemory } = oldest;
  if (computeCapability === undefined) {
    return unanswered(
      `this driver does not report the compute capability of ${name}, and the catalog does not know that card; set it in gpu, such as 5.0`,
    );
  }
  return { ok: true, value: { name, computeCapability, videoMemory } };
}
