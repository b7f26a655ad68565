import { describe, expect, it } from "vitest";

import { containerProblem, gpuProblem, isTroubled } from "../../verify/containerProblem";
import type { InspectedContainer } from "../../verify/status";

const container = (
  state: Partial<InspectedContainer["State"]>,
  restarts = 0,
): InspectedContainer => ({
  RestartCount: restarts,
  State: { Status: "running", Running: true, ...state },
  Config: { Image: "x" },
});

describe("why a container does not serve", () => {
  it("is looked for only where something is wrong", () => {
    expect(isTroubled(container({ Health: { Status: "healthy" } }, 3))).toBe(false);
    expect(isTroubled(container({}))).toBe(false);
    expect(isTroubled(container({ Health: { Status: "unhealthy" } }))).toBe(true);
    expect(isTroubled(container({ Health: { Status: "starting" } }, 3))).toBe(true);
    expect(isTroubled(container({ Status: "restarting", Restarting: true }))).toBe(true);
    expect(isTroubled(container({ Status: "exited", Running: false }))).toBe(true);
  });

  it("names the cause and the cure of a known error in the log", () => {
    const restarting = container({ Status: "restarting", Restarting: true, ExitCode: 1 }, 7);
    expect(
      containerProblem(restarting, "[ERROR] Can't connect to ('::', 3003)\nShutting down\n"),
    ).toBe(
      "it keeps restarting (exit code 1): the host has no IPv6, and the server listens on it by default: «environment: { host: 0.0.0.0 }»",
    );
  });

  it("reads the exit code where the log says nothing", () => {
    const ended = { Status: "exited", Running: false };
    expect(containerProblem(container({ ...ended, ExitCode: 139 }), "Booting worker\n")).toContain(
      "it has ended (exit code 139): the server crashed",
    );
    expect(containerProblem(container({ ...ended, ExitCode: 132 }), "")).toContain(
      "the host's CPU",
    );
    const killed = container({ ...ended, ExitCode: 137, OOMKilled: true });
    expect(containerProblem(killed, "")).toContain("ran out of memory");
  });

  it("quotes the last line of an unknown reason, harmless to a terminal", () => {
    const unhealthy = container({ Health: { Status: "unhealthy" } });
    expect(containerProblem(unhealthy, "one\ntwo \u001b[2J\n\n")).toBe(
      "its health check fails: two \\u001b[2J",
    );
    expect(containerProblem(unhealthy, "")).toBe("its health check fails");
  });

  it("says why Docker could not start it", () => {
    const error = 'could not select device driver "nvidia" with capabilities: [[gpu]]';
    const created = container({ Status: "created", Running: false, ExitCode: 128, Error: error });
    expect(containerProblem(created, "")).toContain(
      "Docker could not start it: Docker cannot pass an NVIDIA card to a container yet",
    );
  });
});

describe("nvidia-smi in a container", () => {
  it("tells a lost card with its cure", () => {
    expect(gpuProblem("Failed to initialize NVML: Unknown Error\n")).toMatch(
      /^Failed to initialize NVML: Unknown Error: the container has lost its card: .*restart the container/,
    );
  });

  it("says nothing by its absence where the card has computed", () => {
    const absent =
      'OCI runtime exec failed: exec: "nvidia-smi": executable file not found in $PATH';
    expect(gpuProblem(absent)).toContain("the container started without a card");
    expect(gpuProblem(absent, true)).toBeUndefined();
    expect(gpuProblem("Failed to initialize NVML: Unknown Error", true)).toBeDefined();
  });

  it("has no problem with an answer", () => {
    expect(gpuProblem("NVIDIA GeForce GTX 750 Ti, 812, 1187\n")).toBeUndefined();
  });
});
