import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm } from "node:fs/promises";
import { type AddressInfo, connect } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { createServer, type TLSSocket } from "node:tls";
import { promisify } from "node:util";

const execute = promisify(execFile);

/** A Docker engine's socket behind TLS on loopback, like dockerd's `--tlsverify`. */
export interface TlsProxy {
  /** `tcp://127.0.0.1:…` */
  readonly endpoint: string;
  /** Folder with matching ca.pem, cert.pem and key.pem. */
  readonly certificates: string;
  /** The same from another authority. */
  readonly otherCertificates: string;
  stop(): Promise<void>;
}

export async function startTlsProxy(socket: string): Promise<TlsProxy> {
  const folder = await mkdtemp(path.join(tmpdir(), "immich-ml-test-tls-"));
  const own = await makeCertificates(path.join(folder, "own"));
  const otherCertificates = await makeCertificates(path.join(folder, "other"));
  const connections = new Set<TLSSocket>();
  const server = createServer(
    {
      ca: await readFile(path.join(own, "ca.pem")),
      cert: await readFile(path.join(own, "server.pem")),
      key: await readFile(path.join(own, "server-key.pem")),
      requestCert: true,
      rejectUnauthorized: true,
      // A client may close its half first and still listen, such as `docker exec --interactive`.
      allowHalfOpen: true,
    },
    (client) => {
      const engine = connect({ path: socket, allowHalfOpen: true });
      connections.add(client);
      client.once("close", () => connections.delete(client));
      for (const side of [client, engine]) side.on("error", () => side.destroy());
      client.pipe(engine).pipe(client);
    },
  );
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    endpoint: `tcp://127.0.0.1:${(server.address() as AddressInfo).port}`,
    certificates: own,
    otherCertificates,
    stop: async () => {
      for (const connection of connections) connection.destroy();
      await new Promise((resolve) => server.close(resolve));
      await rm(folder, { recursive: true });
    },
  };
}

/** An authority with certificates for the engine and its client. */
async function makeCertificates(folder: string): Promise<string> {
  await mkdir(folder);
  const openssl = (...words: string[]) => execute("openssl", words, { cwd: folder });
  const newKey = ["-newkey", "rsa:2048", "-nodes"];
  const ca = ["-keyout", "ca-key.pem", "-out", "ca.pem", "-subj", "/CN=test authority"];
  await openssl("req", "-x509", ...newKey, ...ca, "-days", "2");
  const sign = async (key: string, certificate: string, extension: string) => {
    const subject = ["-subj", "/CN=test", "-addext", extension];
    await openssl("req", "-new", ...newKey, "-keyout", key, "-out", "request", ...subject);
    const authority = ["-CA", "ca.pem", "-CAkey", "ca-key.pem", "-CAcreateserial"];
    const files = ["-in", "request", "-out", certificate, "-copy_extensions", "copy"];
    await openssl("x509", "-req", ...authority, ...files, "-days", "2");
  };
  await sign("server-key.pem", "server.pem", "subjectAltName=IP:127.0.0.1");
  await sign("key.pem", "cert.pem", "extendedKeyUsage=clientAuth");
  return folder;
}
