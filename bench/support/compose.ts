import { installDebianPackages, isInstalled, run } from "../../demo/shell";

/** The plugin of the docker client if installed, else Debian's docker-compose. */
export async function composeCommand(): Promise<readonly [string, ...string[]]> {
  const hasPlugin = await run("docker", ["compose", "version"]).then(
    () => true,
    () => false,
  );
  if (hasPlugin) return ["docker", "compose"];
  if (!(await isInstalled("docker-compose"))) {
    await installDebianPackages(["docker-compose"], console.log);
  }
  return ["docker-compose"];
}
