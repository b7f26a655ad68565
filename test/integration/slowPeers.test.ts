import { chmod, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";

import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";

import { connectToDatabase, disconnect } from "../../immich/databaseConnection";
import { probeApi, probeDatabase } from "../../immich/databaseProbe";
import { getFromApi } from "../../immich/immichApi";
import { apiVersion } from "../../immich/serverVersion";
import { nvidiaTimeout } from "../../preflight/nvidia";
import { probeHost } from "../../preflight/hostProbe";
import { DockerClient } from "../../util/docker";
import { run, type Run } from "../../util/run";
import { type BadPeer, badPeers, startBadPeer } from "../support/badPeers";
import { canarySecret, clearFailure, expectClear } from "../support/hostile";

/** Seconds that a question may take here. */
const limit = 2;
/** Milliseconds that a busy machine may add, with the second in which a program may end. */
const slack = 12_000;

const soon: Run = (program, parameters, options) =>
  run(program, parameters, { ...options, timeout: limit });

const database = (port: number) => ({
  host: "127.0.0.1",
  port,
  database: "immich",
  user: "postgres",
  password: canarySecret,
  sslMode: "disable" as const,
});
const api = (port: number) => ({
  kind: "api" as const,
  url: `http://127.0.0.1:${port}`,
  apiKey: canarySecret,
});

type Failure = Promise<string | undefined>;
const messageOf = (answer: { ok: boolean; message?: string }) =>
  answer.ok ? undefined : answer.message;

/** What is asked of a peer: the failure's message, and the milliseconds it may take. */
type Question = readonly [what: string, ask: (port: number) => Failure, milliseconds: number];
const questions: Question[] = [
  [
    "Docker at tcp://",
    async (port) =>
      messageOf(await new DockerClient({ dockerHost: `tcp://127.0.0.1:${port}` }, soon).info()),
    1000 * limit,
  ],
  [
    "the containers at tcp://",
    async (port) =>
      messageOf(
        await new DockerClient({ dockerHost: `tcp://127.0.0.1:${port}` }, soon).allContainers(),
      ),
    1000 * limit,
  ],
  [
    "Docker at ssh://",
    async (port) =>
      messageOf(await new DockerClient({ dockerHost: `ssh://me@127.0.0.1:${port}` }, soon).info()),
    1000 * limit,
  ],
  [
    "a machine by ssh",
    async (port) => {
      // Its engine answers, as one whose ssh hangs from the second connection on.
      const answer = await probeHost({ dockerHost: `ssh://me@127.0.0.1:${port}` }, (...question) =>
        question[0] === "docker"
          ? Promise.resolve({ code: 0, stdout: '{"ServerVersion": "20.10.24"}', stderr: "" })
          : soon(...question),
      );
      if (!answer.ok) return answer.message;
      return answer.value.machine && messageOf(answer.value.machine);
    },
    1000 * limit,
  ],
  [
    "PostgreSQL",
    (port) =>
      clearFailure(async () => {
        const client = await connectToDatabase(database(port), 1000 * limit, {
          answerWithin: 1000 * limit,
        });
        try {
          await client.query("SELECT 1");
        } finally {
          await disconnect(client);
        }
      }),
    // To connect, to be answered, and to take leave.
    6000,
  ],
  [
    "Immich's database",
    async (port) => messageOf(await probeDatabase({ ...database(port), timeoutMs: 1000 * limit })),
    19_000,
  ],
  ["Immich's API", (port) => clearFailure(() => getFromApi(api(port), "/server/version")), 9000],
  [
    "Immich's release without a key",
    async (port) => messageOf(await apiVersion(`http://127.0.0.1:${port}`)),
    1000 * limit,
  ],
  ["what Immich's API can do", async (port) => messageOf(await probeApi(api(port))), 30_000],
];

/** What a driver that is ill makes of nvidia-smi. */
const cards: Readonly<Record<string, string>> = {
  hangs: "sleep 60",
  "hangs and ignores signals": "trap '' TERM INT HUP; sleep 60 & wait; sleep 60",
  "hangs after half a line": "printf '0, GPU-8e5e22a2'; sleep 60",
  "hangs after a whole line":
    "echo '0, GPU-8e5e22a2, NVIDIA GeForce GTX 750 Ti, 535.183.01, 1999, 5.0'; sleep 60",
  drips: "while :; do printf 0; sleep 0.2; done",
  "talks without end": "while :; do echo '0, GPU'; sleep 0.01; done",
  "says junk": "head -c 4096 /dev/urandom",
  "is killed": "kill -9 $$",
  fails: "echo 'NVIDIA-SMI has failed because it could not communicate with the driver'; exit 9",
  "ends without a word": "exit 1",
};

describe("peers that are slow, silent or half dead", () => {
  const peers = new Map<string, BadPeer>();
  let folder: string;

  beforeAll(async () => {
    for (const [name, behaviour] of Object.entries(badPeers))
      peers.set(name, await startBadPeer(behaviour));
    // A second is enough for an answer from this machine.
    const within = AbortSignal.timeout.bind(AbortSignal);
    vi.spyOn(AbortSignal, "timeout").mockImplementation(() => within(1000 * limit));
    folder = await mkdtemp(path.join(tmpdir(), "immich-ml-test-cards-"));
  });
  afterAll(async () => {
    vi.restoreAllMocks();
    for (const peer of peers.values()) await peer.stop();
    await rm(folder, { recursive: true, force: true });
  });

  it.concurrent.each(questions)(
    "%s: each ends within its limit, with one clear message",
    async (_what, ask, milliseconds) => {
      const wrong: string[] = [];
      await Promise.all(
        [...peers].map(async ([name, { port }]) => {
          const started = performance.now();
          const message = await ask(port);
          const took = performance.now() - started;
          try {
            expect(message).toBeDefined();
            expectClear(message!);
            expect(message!.split("\n")).toHaveLength(1);
            expect(took).toBeLessThan(milliseconds + slack);
          } catch (error) {
            wrong.push(
              `${name}, ${Math.round(took)} ms: ${message}\n  ${(error as Error).message}`,
            );
          }
        }),
      );
      expect(wrong.join("\n")).toBe("");
    },
    120_000,
  );

  it("an NVIDIA driver that is ill ends within its limit, with one clear message", async () => {
    const shorter: Run = (program, parameters, options) =>
      program === "docker"
        ? Promise.resolve({ code: 0, stdout: '{"ServerVersion": "20.10.24"}', stderr: "" })
        : run(program, parameters, {
            ...options,
            stdin: options!.stdin!.replaceAll(`timeout ${nvidiaTimeout}`, "timeout 1"),
            timeout: limit,
            environment: {
              PATH: `${options!.environment?.["FOLDER"] ?? ""}${process.env["PATH"]}`,
            },
          });
    await Promise.all(
      Object.entries(cards).map(async ([name, script], index) => {
        const programs = path.join(folder, String(index));
        await writeProgram(programs, script);
        const started = performance.now();
        const answer = await probeHost({ dockerHost: "unix:///var/run/docker.sock" }, (...asked) =>
          shorter(asked[0], asked[1], {
            ...asked[2],
            environment: { FOLDER: `${programs}:` },
          }),
        );
        const machine = answer.ok ? answer.value.machine : undefined;
        const nvidia = machine?.ok ? machine.value.nvidia : machine;
        expect(nvidia?.ok, name).toBe(false);
        expectClear(messageOf(nvidia!)!);
        expect(performance.now() - started, name).toBeLessThan(1000 * limit + slack);
      }),
    );
  });

  it("are counted", ({ task }) => {
    const tried = peers.size * questions.length + Object.keys(cards).length;
    task.meta.hostileInputs = tried;
    expect(tried).toBeGreaterThanOrEqual(400);
  });
});

async function writeProgram(programs: string, script: string): Promise<void> {
  await rm(programs, { recursive: true, force: true });
  await mkdir(programs);
  const file = path.join(programs, "nvidia-smi");
  await writeFile(file, `#!/bin/sh\n${script}\n`);
  await chmod(file, 0o755);
}
