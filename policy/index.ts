import {
  type EnforcementLevel,
  PolicyPack,
  type ResourceValidationPolicy,
  type StackValidationPolicy,
} from "@pulumi/policy";

import {
  commandTypes,
  containerType,
  type Inputs,
  missingHealthCheck,
  movingImage,
  openPorts,
  plainSecrets,
  privileges,
  serviceType,
  unconfined,
  unkeptVolumes,
  volumeOfHost,
  volumeType,
} from "./checks";

/** Each names what is wrong, why it matters and what to do; a violation adds where. */
new PolicyPack("immich-ml", {
  policies: [
    ofContainers({
      name: "nothing-privileged",
      enforcementLevel: "mandatory",
      description:
        "A container with rights over the host turns every fault of an ML library into a fault of the host. " +
        "Give it the accelerator's devices (devices, deviceRequests), volumes, and data folders of the host, no more.",
      check: privileges,
    }),
    ofTypes([volumeType], {
      name: "volume-not-of-the-host",
      enforcementLevel: "mandatory",
      description:
        "A volume whose driverOpts.device is a folder of the host mounts that folder by another name. " +
        "Use a plain volume, or one of a data folder.",
      check: volumeOfHost,
    }),
    ofContainers({
      name: "confined",
      enforcementLevel: "mandatory",
      description:
        "seccomp, AppArmor and the masked paths of /proc are what is left between a fault and the host. " +
        "Only Rockchip's NPU (accelerator: rknn) needs securityOpts without them: for such a stack make this " +
        'policy advisory, by --policy-pack-config with { "confined": "advisory" }.',
      check: unconfined,
    }),
    ofContainers({
      name: "no-port-on-all-interfaces",
      enforcementLevel: "mandatory",
      description:
        "Immich's machine learning has no authentication: whoever reaches the port computes on the GPU. " +
        "Join Immich's network instead, or publish on one address of the host (ports[].ip, publish.address).",
      check: openPorts,
    }),
    ofContainers({
      name: "health-check",
      enforcementLevel: "mandatory",
      description:
        "Without a health check, a server that hangs counts as running. " +
        'Set healthcheck.tests, for Immich\'s image ["CMD", "python3", "healthcheck.py"].',
      check: missingHealthCheck,
    }),
    ofContainers({
      name: "image-by-id-or-digest",
      enforcementLevel: "mandatory",
      description:
        "A tag may point to another image tomorrow, and no preview shows it. " +
        "Give an image's id (RemoteImage.imageId) or a digest (name@sha256:…).",
      check: movingImage,
    }),
    {
      name: "cache-kept",
      enforcementLevel: "mandatory",
      description:
        "The models in a cache volume are gigabytes of downloads, and destroy takes an unkept volume with them. " +
        "Use ModelCache with retain (cache.keep: true, the default), or the resource option protect.",
      validateStack: ({ resources }, reportViolation) => {
        const seen = resources.map((resource) => ({
          type: resource.type,
          name: resource.name,
          urn: resource.urn,
          props: resource.props as Inputs,
          isProtected: resource.opts.protect,
          parentUrn: resource.parent?.urn,
        }));
        for (const { name, urn } of unkeptVolumes(seen)) {
          reportViolation(`the volume ${name} is destroyed with the stack`, urn);
        }
      },
    } satisfies StackValidationPolicy,
    ofTypes([containerType, serviceType, ...commandTypes], {
      name: "no-plain-secrets",
      // Policies get every value decrypted, so a plain value and an encrypted one look the same.
      enforcementLevel: "advisory",
      description:
        "Whoever may use Docker can read a container's variables with docker inspect, and a command's variables are " +
        "in the state. Leave the secret out, or pass it in a file; if it has to be a variable, encrypt it (pulumi.secret).",
      check: plainSecrets,
    }),
  ],
});

interface Check {
  readonly name: string;
  readonly enforcementLevel: EnforcementLevel;
  readonly description: string;
  readonly check: (type: string, props: Inputs) => string[];
}

function ofContainers(check: Check): ResourceValidationPolicy {
  return ofTypes([containerType, serviceType], check);
}

function ofTypes(types: readonly string[], { check, ...policy }: Check): ResourceValidationPolicy {
  return {
    ...policy,
    validateResource: ({ type, props }, reportViolation) => {
      if (!types.includes(type)) return;
      for (const violation of check(type, props)) reportViolation(violation);
    },
  };
}
