// The least that a program with these providers can be: plain JavaScript, nothing read, nothing checked.
const command = require("@pulumi/command");
const docker = require("@pulumi/docker");
const postgresql = require("@pulumi/postgresql");
const pulumi = require("@pulumi/pulumi");

const config = new pulumi.Config();
const engine = new docker.Provider("engine", { disableDockerDaemonCheck: true });
const database = new postgresql.Provider("database", {
  host: "127.0.0.1",
  port: config.requireNumber("port"),
  database: config.require("database"),
  username: "postgres",
  password: config.requireSecret("password"),
  sslmode: "disable",
  superuser: false,
});

new docker.Volume("volume", { name: config.require("volume") }, { provider: engine });
new command.local.Command("command", { create: "true" });
new postgresql.Schema("schema", { name: config.require("schema") }, { provider: database });
if (config.requireBoolean("dynamic")) {
  new pulumi.dynamic.Resource(
    { create: () => Promise.resolve({ id: "floor", outs: {} }) },
    "dynamic",
    {},
  );
}
