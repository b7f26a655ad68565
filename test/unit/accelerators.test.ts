import { describe, expect, it } from "vitest";

import { type Accelerator, acceleratorNames, accelerators } from "../../catalog/accelerators";

/** An accelerator in the words of a compose service, to be held against Immich's own file. */
function asComposeService(accelerator: Accelerator): Record<string, unknown> {
  const { gpuRequest } = accelerator;
  const fields = {
    devices: accelerator.devices.map((path) => `${path}:${path}`),
    volumes: accelerator.mounts.map(
      (mount) => `${mount.hostPath}:${mount.containerPath}${mount.readOnly ? ":ro" : ""}`,
    ),
    device_cgroup_rules: [...accelerator.deviceCgroupRules],
    group_add: [...accelerator.groups],
    security_opt: [...accelerator.securityOptions],
  };
  return {
    ...Object.fromEntries(Object.entries(fields).filter(([, list]) => list.length > 0)),
    ...(gpuRequest && { deploy: { resources: { reservations: { devices: [gpuRequest] } } } }),
  };
}

/** What the services of Immich's docker/hwaccel.ml.yml (v3.1.0) ask of the engine. */
const immichServices: Record<string, unknown> = {
  cpu: {},
  cuda: {
    deploy: {
      resources: {
        reservations: { devices: [{ driver: "nvidia", count: 1, capabilities: ["gpu"] }] },
      },
    },
  },
  armnn: {
    devices: ["/dev/mali0:/dev/mali0"],
    volumes: [
      "/lib/firmware/mali_csffw.bin:/lib/firmware/mali_csffw.bin:ro",
      "/usr/lib/libmali.so:/usr/lib/libmali.so:ro",
    ],
  },
  openvino: {
    devices: ["/dev/dri:/dev/dri"],
    volumes: ["/dev/bus/usb:/dev/bus/usb"],
    device_cgroup_rules: ["c 189:* rmw"],
  },
  "openvino-wsl": {
    devices: ["/dev/dri:/dev/dri", "/dev/dxg:/dev/dxg"],
    volumes: ["/dev/bus/usb:/dev/bus/usb", "/usr/lib/wsl:/usr/lib/wsl"],
  },
  rocm: { devices: ["/dev/dri:/dev/dri", "/dev/kfd:/dev/kfd"], group_add: ["video"] },
  rknn: {
    devices: ["/dev/dri:/dev/dri"],
    security_opt: ["systempaths=unconfined", "apparmor=unconfined"],
  },
};

describe("the accelerators", () => {
  it("are exactly those of Immich's hwaccel.ml.yml", () => {
    expect([...acceleratorNames].sort()).toEqual(Object.keys(immichServices).sort());
  });

  it.each(acceleratorNames)(
    "%s asks of the engine what Immich's file asks, field by field",
    (name) => {
      expect(asComposeService(accelerators[name])).toEqual(immichServices[name]);
    },
  );

  it("mount the Mali firmware and USB only where the host has them", () => {
    const optional = Object.values(accelerators)
      .flatMap((accelerator) => accelerator.mounts)
      .filter((mount) => mount.optional)
      .map((mount) => mount.hostPath);
    const usb = "/dev/bus/usb";
    expect(optional).toEqual(["/lib/firmware/mali_csffw.bin", usb, usb]);
  });

  it("are known under their own name", () => {
    for (const name of acceleratorNames) expect(accelerators[name].name).toBe(name);
  });
});
