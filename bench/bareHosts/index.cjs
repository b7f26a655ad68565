// What bench/scale.ts gives each host, declared by hand: plain JavaScript, nothing read, nothing checked.
const docker = require("@pulumi/docker");
const pulumi = require("@pulumi/pulumi");

const config = new pulumi.Config();
const { prefix, hosts, image, network, modelTtl } = config.requireObject("fleet");
const engine = new docker.Provider("engine", { disableDockerDaemonCheck: true });
const options = { provider: engine, deleteBeforeReplace: true };

for (const name of hosts) {
  const volume = new docker.Volume(name, { name: `${prefix}-${name}` }, options);
  new docker.Container(
    name,
    {
      name: `${prefix}-${name}`,
      image,
      restart: "always",
      envs: [`MACHINE_LEARNING_MODEL_TTL=${modelTtl}`, "ORT_CUDA_UNAVAILABLE=1"],
      volumes: [{ volumeName: volume.name, containerPath: "/cache" }],
      networksAdvanced: [{ name: network, aliases: [name] }],
      capabilities: { drops: ["ALL"] },
      securityOpts: ["no-new-privileges:true"],
      logDriver: "json-file",
      logOpts: { "max-size": "10m", "max-file": "3" },
      healthcheck: {
        tests: ["CMD", "python3", "healthcheck.py"],
        interval: "10s",
        timeout: "10s",
        retries: 3,
        startPeriod: "2m0s",
      },
    },
    options,
  );
}
