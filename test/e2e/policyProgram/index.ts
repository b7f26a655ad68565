import { local } from "@pulumi/command";
import * as docker from "@pulumi/docker";

new docker.Container("bad", {
  name: "immich-ml-test-policy-never-made",
  image: "immich-machine-learning:release",
  privileged: true,
  ports: [{ internal: 3003, external: 3003 }],
  securityOpts: ["seccomp=unconfined"],
  volumes: [{ hostPath: "/etc", containerPath: "/host" }],
  envs: ["DB_PASSWORD=in-clear"],
});
new docker.Volume("cache", {
  name: "immich-ml-test-policy-never-made",
  driverOpts: { type: "none", o: "bind", device: "/" },
});
new local.Command("token", { create: "true", environment: { API_TOKEN: "in-clear" } });
