import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdtemp, readFile, rm, stat } from "node:fs/promises";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { tmpdir } from "node:os";
import path from "node:path";

import { run } from "../../demo/shell";
import type { PrivateEngine } from "./privateEngine";

/** A registry on a private engine's loopback address, with a connection that can fail. */
export interface ImageRegistry {
  /** Offers an image of this machine's engine. @returns its reference with digest */
  offer(reference: string): Promise<string>;
  /**
   * `good`; `cut`: every layer breaks off in the middle, as when the network fails; `silent`: it stalls
   * there.
   */
  line: "good" | "cut" | "silent";
  /** Resolves when the next layer reaches the point of the failure. */
  disturbed(): Promise<void>;
  stop(): Promise<void>;
}

const port = 5000;
const manifestType = "application/vnd.oci.image.manifest.v1+json";

/** Forwards connections to a unix socket, which network namespaces share. */
const forwarder = `
const net = require("node:net");
net.createServer((from) => {
  const to = net.connect(process.argv[1]);
  for (const [one, other] of [[from, to], [to, from]]) one.on("error", () => {}).on("close", () => other.destroy());
  from.pipe(to).pipe(from);
}).listen(${port}, "127.0.0.1", () => console.log("listening"));
`;

export async function startImageRegistry(engine: PrivateEngine): Promise<ImageRegistry> {
  const folder = await mkdtemp(path.join(tmpdir(), "immich-ml-test-registry-"));
  /** Files by digest. */
  const blobs = new Map<string, string>();
  const manifests = new Map<string, string>();
  const waiting: (() => void)[] = [];

  const offer = async (reference: string) => {
    const name = `image-${manifests.size}`;
    const unpacked = path.join(folder, name);
    await run("sh", ["-c", 'mkdir "$1" && docker save "$0" | tar -x -C "$1"', reference, unpacked]);
    const [saved] = JSON.parse(await readFile(path.join(unpacked, "manifest.json"), "utf8")) as {
      Config: string;
      Layers: string[];
    }[];
    const blob = async (file: string, mediaType: string) => {
      const whole = path.join(unpacked, file);
      const digest = await digestOf(whole);
      blobs.set(digest, whole);
      return { mediaType, digest, size: (await stat(whole)).size };
    };
    const manifest = JSON.stringify({
      schemaVersion: 2,
      mediaType: manifestType,
      config: await blob(saved!.Config, "application/vnd.oci.image.config.v1+json"),
      layers: await Promise.all(
        saved!.Layers.map((file) => blob(file, "application/vnd.oci.image.layer.v1.tar")),
      ),
    });
    const digest = `sha256:${createHash("sha256").update(manifest).digest("hex")}`;
    manifests.set(digest, manifest);
    return `127.0.0.1:${port}/${name}@${digest}`;
  };

  const serveBlob = async (file: string, request: IncomingMessage, response: ServerResponse) => {
    const { size } = await stat(file);
    const start = Number(/^bytes=(\d+)-/.exec(request.headers.range ?? "")?.[1] ?? 0);
    response.writeHead(start > 0 ? 206 : 200, {
      "Content-Length": size - start,
      ...(start > 0 && { "Content-Range": `bytes ${start}-${size - 1}/${size}` }),
    });
    const isDisturbed = registry.line !== "good" && size > 1_000_000;
    const end = isDisturbed ? start + Math.floor((size - start) / 2) : size - 1;
    const stream = createReadStream(file, { start, end });
    stream.pipe(response, { end: !isDisturbed });
    if (!isDisturbed) return;
    stream.once("end", () => {
      if (registry.line === "cut") response.destroy();
      for (const resolve of waiting.splice(0)) resolve();
    });
  };

  const server = createServer((request, response) => {
    const [, kind, digest] = /\/(manifests|blobs)\/(.+)$/.exec(request.url ?? "") ?? [];
    const manifest = kind === "manifests" ? manifests.get(digest!) : undefined;
    const file = kind === "blobs" ? blobs.get(digest!) : undefined;
    if (request.url === "/v2/") response.end("{}");
    else if (manifest !== undefined) {
      response.writeHead(200, {
        "Content-Type": manifestType,
        "Content-Length": Buffer.byteLength(manifest),
        "Docker-Content-Digest": digest,
      });
      response.end(request.method === "HEAD" ? undefined : manifest);
    } else if (file !== undefined) void serveBlob(file, request, response);
    else response.writeHead(404).end();
  });
  const socket = path.join(folder, "socket");
  await new Promise<void>((resolve) => server.listen(socket, resolve));
  const forwarding = await engine.spawnInside(process.execPath, "-e", forwarder, socket);
  await new Promise((resolve) => forwarding.stdout!.once("data", resolve));

  const registry: ImageRegistry = {
    offer,
    line: "good",
    disturbed: () => new Promise((resolve) => waiting.push(resolve)),
    stop: async () => {
      forwarding.kill();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      await rm(folder, { recursive: true });
    },
  };
  return registry;
}

async function digestOf(file: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const part of createReadStream(file)) hash.update(part as Buffer);
  return `sha256:${hash.digest("hex")}`;
}
