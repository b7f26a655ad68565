import { createServer, type Server, type Socket } from "node:net";
import type { AddressInfo } from "node:net";

/** What a peer does with a connection. */
type Behaviour = (socket: Socket) => void;

const http = (head: string, body = "") => `HTTP/1.1 ${head}\r\n\r\n${body}`;
const ping = http(
  "200 OK\r\nApi-Version: 1.41\r\nContent-Type: text/plain\r\nContent-Length: 2",
  "OK",
);
const json = "Content-Type: application/json";
const version = '{"major": 2, "minor": 7, "patch": 5}';
const junk = Buffer.from(Array.from({ length: 4096 }, (_, index) => (index * 167 + 13) % 256));

/** PostgreSQL's messages: a letter, the length, the content. */
function message(letter: string, content: Buffer = Buffer.alloc(0)): Buffer {
  const length = Buffer.alloc(4);
  length.writeInt32BE(content.length + 4);
  return Buffer.concat([Buffer.from(letter), length, content]);
}
const authenticated = message("R", Buffer.from([0, 0, 0, 0]));
const ready = Buffer.concat([authenticated, message("Z", Buffer.from("I"))]);
const wantsPassword = message("R", Buffer.from([0, 0, 0, 3]));
const refused = message(
  "E",
  Buffer.from("SFATAL\0VFATAL\0C57P03\0Mthe database system is starting up\0\0"),
);

/** As soon as somebody connects. */
const greets =
  (text: string | Buffer, then: Behaviour = () => undefined): Behaviour =>
  (socket) => {
    socket.resume();
    socket.write(text, () => then(socket));
  };

/** To each request, one after the other; the last one to all further ones. */
const answers =
  (...behaviours: readonly Behaviour[]): Behaviour =>
  (socket) => {
    let asked = 0;
    socket.on("data", () => behaviours[Math.min(asked++, behaviours.length - 1)]!(socket));
  };

const says = (text: string | Buffer) => (socket: Socket) => void socket.write(text);
const silence: Behaviour = (socket) => void socket.resume();
const closes: Behaviour = (socket) => void socket.end();
const resets: Behaviour = (socket) => void socket.resetAndDestroy();

/** A piece again and again, until the other side has enough. */
const repeats =
  (text: string | Buffer, every: number): Behaviour =>
  (socket) => {
    const timer = setInterval(() => socket.write(text), every);
    socket.once("close", () => clearInterval(timer));
  };

/** One character after another. */
const drips =
  (text: string, every = 400): Behaviour =>
  (socket) => {
    let at = 0;
    const timer = setInterval(() => socket.write(text[at++ % text.length]!), every);
    socket.once("close", () => clearInterval(timer));
  };

/** Peers that are slow, silent or half dead, by what they do. None of them ever answers a question whole. */
export const badPeers: Readonly<Record<string, Behaviour>> = {
  "is silent": silence,
  "closes at once": closes,
  "resets at once": resets,
  "closes when it is asked": answers(closes),
  "resets when it is asked": answers(resets),
  "says one byte": greets("H"),
  "says NUL": greets("\0"),
  "says junk": greets(junk),
  "says junk and closes": greets(junk, closes),
  "says junk without end": repeats(junk, 20),
  "says a line without end": repeats("a".repeat(4096), 20),
  "says empty lines without end": repeats("\r\n", 20),
  "drips HTTP": answers(drips(http(`200 OK\r\n${json}\r\nContent-Length: 36`, version))),
  "drips junk": drips("\u0001\u0002\u0003"),
  "says half a status line": answers(says("HTTP/1.1 2")),
  "says half a status line and closes": answers((socket) => void socket.end("HTTP/1.1 2")),
  "says headers without end": answers((socket) => {
    socket.write("HTTP/1.1 200 OK\r\n");
    repeats("X-More: header\r\n", 50)(socket);
  }),
  "promises a body": answers(says(http(`200 OK\r\n${json}\r\nContent-Length: 1000`))),
  "says half a body": answers(
    says(http(`200 OK\r\n${json}\r\nContent-Length: 1000`, '{"major": 2')),
  ),
  "says half a body and closes": answers(
    (socket) => void socket.end(http(`200 OK\r\n${json}\r\nContent-Length: 1000`, '{"major": 2')),
  ),
  "says half a body and resets": answers((socket) => {
    socket.write(http(`200 OK\r\n${json}\r\nContent-Length: 1000`, '{"major"'), () =>
      resets(socket),
    );
  }),
  "says a body without end": answers((socket) => {
    socket.write(http(`200 OK\r\n${json}\r\nTransfer-Encoding: chunked`));
    repeats(`4\r\n    \r\n`, 50)(socket);
  }),
  "says a chunk of a wrong size": answers(
    says(http(`200 OK\r\n${json}\r\nTransfer-Encoding: chunked`, "zz\r\n{}\r\n")),
  ),
  "claims to be compressed": answers(
    says(http(`200 OK\r\n${json}\r\nContent-Encoding: gzip\r\nContent-Length: 2`, "no")),
  ),
  "says to go on without end": answers(repeats("HTTP/1.1 100 Continue\r\n\r\n", 50)),
  "is busy": answers(says(http("503 Service Unavailable\r\nContent-Length: 0"))),
  "is a bad gateway": answers(says(http("502 Bad Gateway\r\nContent-Length: 13", "<html></html>"))),
  "redirects to itself": answers(
    says(http("302 Found\r\nLocation: /api/server/version\r\nContent-Length: 0")),
  ),
  "is a web page": answers(
    says(http("200 OK\r\nContent-Type: text/html\r\nContent-Length: 13", "<html></html>")),
  ),
  "speaks TLS": answers(says(Buffer.from([0x15, 3, 1, 0, 2, 2, 40]))),
  "is Docker and then silent": answers(says(ping), silence),
  "is Docker and then closes": answers(says(ping), closes),
  "is Docker and then resets": answers(says(ping), resets),
  "is Docker and then drips": answers(says(ping), drips(http(`200 OK\r\n${json}`, "{"))),
  "is Docker and then says half": answers(
    says(ping),
    says(http(`200 OK\r\n${json}\r\nContent-Length: 1000`, '{"ID": "')),
  ),
  "is Docker and then says junk": answers(says(ping), says(junk)),
  "is Docker and then fails": answers(
    says(ping),
    says(http(`500 Internal Server Error\r\n${json}\r\nContent-Length: 18`, '{"message":"oops"}')),
  ),
  "is ssh and then silent": greets("SSH-2.0-OpenSSH_9.2\r\n"),
  "is ssh and then closes": greets("SSH-2.0-OpenSSH_9.2\r\n", closes),
  "is ssh and then says junk": greets(Buffer.concat([Buffer.from("SSH-2.0-x\r\n"), junk])),
  "is an old ssh": greets("SSH-1.5-1.2.27\r\n"),
  "is ssh with a banner without end": repeats("Welcome\r\n", 50),
  "is PostgreSQL and asks no password": answers(says(authenticated)),
  "is PostgreSQL and silent after the password": answers(says(wantsPassword), silence),
  "is PostgreSQL and closes after the password": answers(says(wantsPassword), closes),
  "is PostgreSQL and starts up": answers((socket) => void socket.end(refused)),
  "is PostgreSQL and says half a message": answers(says(wantsPassword.subarray(0, 7))),
  "is PostgreSQL and silent when it is asked": answers(says(ready), silence),
  "is PostgreSQL and closes when it is asked": answers(says(ready), closes),
  "is PostgreSQL and drips when it is asked": answers(says(ready), drips("T\0\0\u0010")),
  "is PostgreSQL and says junk when it is asked": answers(says(ready), says(junk)),
};

export interface BadPeer {
  readonly port: number;
  stop(): Promise<void>;
}

export async function startBadPeer(behaviour: Behaviour): Promise<BadPeer> {
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => undefined).once("close", () => sockets.delete(socket));
    behaviour(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    stop: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
