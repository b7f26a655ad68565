import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

import { valuesIn } from "../../immich/settings";

/** A fault of the fake, for requests that begin with `METHOD path`. */
export type Fault =
  | { readonly status: number; readonly body: string; readonly times?: number }
  /** The connection is cut before, within or after the answer. */
  | { readonly cut: "before" | "within" | "after"; readonly times?: number }
  | { readonly silent: true };

/** A fake of the part of Immich's API that handles the configuration. */
export interface FakeImmich {
  readonly url: string;
  readonly apiKey: string;
  /** The whole configuration with all defaults, as the server answers. */
  configuration: Record<string, unknown>;
  version: { major: number; minor: number; patch: number };
  configFile: boolean;
  permissions: string[];
  /** Every request so far, as `METHOD path`. */
  readonly requests: string[];
  readonly faults: Map<string, Fault>;
  /** Jobs that were started, with their commands. */
  readonly jobs: { name: string; command: unknown }[];
  /** Photos that a job still has to process; each request for it processes some. */
  waiting: Record<string, number>;
  /** Queues that an administrator has paused: their jobs wait, and are counted apart. */
  paused: Set<string>;
  /** Jobs that failed so far. */
  failed: Record<string, number>;
  /** Whether an administrator has put the server into its maintenance mode. */
  maintenance: boolean;
  /** How many of the next saves meet somebody's reading, so that the server does not see the change. */
  missedSaves: number;
  /** Our keys as they were in each save that the server saw. */
  readonly noticed: Record<string, unknown>[];
  /** What happens at a job's start, or while the configuration is being saved. */
  onStart: (queue: string) => void;
  onSave: () => Promise<void>;
  close(): Promise<void>;
}

const clipModels = ["ViT-B-32__openai", "ViT-B-16__openai", "RN50__openai", "RN101__openai"];

/** The relevant configuration of v2.7.5, with two secrets that must not be printed. */
export function wholeConfiguration(): Record<string, unknown> {
  return {
    oauth: { enabled: true, clientSecret: "fake-oauth-secret" },
    notifications: { smtp: { transport: { password: "fake-smtp-secret" } } },
    logging: { enabled: true, level: "log" },
    job: {
      smartSearch: { concurrency: 2 },
      faceDetection: { concurrency: 2 },
      ocr: { concurrency: 1 },
      thumbnailGeneration: { concurrency: 3 },
    },
    machineLearning: {
      enabled: true,
      urls: ["http://immich-machine-learning:3003"],
      availabilityChecks: { enabled: true, timeout: 2000, interval: 30_000 },
      clip: { enabled: true, modelName: "ViT-B-32__openai" },
      duplicateDetection: { enabled: true, maxDistance: 0.01 },
      facialRecognition: {
        enabled: true,
        modelName: "buffalo_l",
        minScore: 0.7,
        maxDistance: 0.5,
        minFaces: 3,
      },
      ocr: {
        enabled: true,
        modelName: "PP-OCRv5_mobile",
        minDetectionScore: 0.5,
        minRecognitionScore: 0.8,
        maxResolution: 736,
      },
    },
  };
}

export async function startFakeImmich(): Promise<FakeImmich> {
  const server = createServer((request, response) => void handle(immich, request, response));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const immich: FakeImmich = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    apiKey: "fake-api-key",
    configuration: wholeConfiguration(),
    version: { major: 2, minor: 7, patch: 5 },
    configFile: false,
    permissions: ["systemConfig.read", "systemConfig.update", "job.read", "job.create"],
    requests: [],
    faults: new Map(),
    jobs: [],
    waiting: {},
    paused: new Set(),
    failed: {},
    maintenance: false,
    missedSaves: 0,
    noticed: [],
    onStart: () => {},
    onSave: () => Promise.resolve(),
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return immich;
}

async function handle(
  immich: FakeImmich,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const line = `${request.method} ${request.url}`;
  immich.requests.push(line);
  const body = await bodyOf(request);
  const fault = faultFor(immich, line);
  if (fault !== undefined && "silent" in fault) return;
  if (fault !== undefined && "cut" in fault && fault.cut === "before") {
    request.socket.destroy();
    return;
  }
  if (fault !== undefined && "status" in fault) {
    response.writeHead(fault.status, { "content-type": "text/plain" }).end(fault.body);
    return;
  }
  if (line === "PUT /api/system-config") await immich.onSave();
  const { status, answer } = answerTo(immich, request, body);
  if (fault !== undefined && "cut" in fault) {
    if (fault.cut === "within") {
      const text = JSON.stringify(answer);
      response.writeHead(status, { "content-length": text.length });
      response.write(text.slice(0, text.length / 2), () => request.socket.destroy());
    } else request.socket.destroy();
    return;
  }
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(answer));
}

function answerTo(
  immich: FakeImmich,
  request: IncomingMessage,
  body: string,
): { status: number; answer: unknown } {
  const refuse = (status: number, message: string) => ({
    status,
    answer: { message, statusCode: status },
  });
  if (immich.maintenance) {
    return request.url === "/api/server/config"
      ? { status: 200, answer: { maintenanceMode: true } }
      : refuse(404, `Cannot ${request.method} ${request.url}`);
  }
  switch (`${request.method} ${request.url}`) {
    case "GET /api/server/version":
      return { status: 200, answer: immich.version };
    case "GET /api/server/features":
      return { status: 200, answer: { configFile: immich.configFile, smartSearch: true } };
  }
  if (request.headers["x-api-key"] !== immich.apiKey) return refuse(401, "Invalid API key");
  if (request.url === "/api/api-keys/me") {
    return { status: 200, answer: { name: "immich-ml", permissions: immich.permissions } };
  }
  const job = /^\/api\/jobs\/(\w+)$/.exec(request.url ?? "")?.[1];
  const permission =
    request.url === "/api/system-config"
      ? request.method === "GET"
        ? "systemConfig.read"
        : "systemConfig.update"
      : request.method === "GET"
        ? "job.read"
        : "job.create";
  if (!immich.permissions.includes(permission)) {
    return refuse(403, `Missing required permission: ${permission}`);
  }
  if (request.url === "/api/system-config" && request.method === "GET") {
    return { status: 200, answer: immich.configuration };
  }
  if (request.url === "/api/system-config" && request.method === "PUT") {
    return save(immich, JSON.parse(body) as Record<string, unknown>);
  }
  if (job !== undefined && request.method === "PUT") {
    const command: unknown = JSON.parse(body);
    if (!immich.paused.has(job) && (immich.waiting[job] ?? 0) > 0) {
      return refuse(400, "Job is already running");
    }
    immich.jobs.push({ name: job, command });
    immich.onStart(job);
    return { status: 200, answer: counts(immich, job) };
  }
  if (request.url === "/api/jobs") {
    const names = ["smartSearch", "faceDetection"];
    for (const name of names.filter((each) => !immich.paused.has(each))) {
      immich.waiting[name] = Math.max(0, (immich.waiting[name] ?? 0) - 5);
    }
    const answer = Object.fromEntries(names.map((name) => [name, counts(immich, name)]));
    return { status: 200, answer };
  }
  return refuse(404, `Cannot ${request.method} ${request.url}`);
}

function save(
  immich: FakeImmich,
  document: Record<string, unknown>,
): { status: number; answer: unknown } {
  const refuse = (message: string) => ({ status: 400, answer: { message, statusCode: 400 } });
  if (immich.configFile) {
    return refuse("Cannot update configuration while IMMICH_CONFIG_FILE is in use");
  }
  const missing = Object.keys(wholeConfiguration()).filter((section) => !(section in document));
  if (missing.length > 0) {
    return {
      status: 400,
      answer: { message: "Validation failed", errors: [{ path: missing, message: "Required" }] },
    };
  }
  const model = (document as { machineLearning: { clip: { modelName: string } } }).machineLearning
    .clip.modelName;
  if (!clipModels.includes(model)) {
    return refuse(`Unknown CLIP model: ${model}. Please check the model name for typos.`);
  }
  const former = immich.configuration;
  immich.configuration = document;
  if (immich.missedSaves > 0) {
    immich.missedSaves -= 1;
    return { status: 200, answer: former };
  }
  immich.noticed.push(valuesIn(document));
  return { status: 200, answer: document };
}

function counts(immich: FakeImmich, name: string): object {
  const left = immich.waiting[name] ?? 0;
  const isPaused = immich.paused.has(name);
  const isActive = left > 0 && !isPaused;
  return {
    jobCounts: {
      active: isActive ? 1 : 0,
      waiting: isPaused ? 0 : left,
      completed: 0,
      failed: immich.failed[name] ?? 0,
      delayed: 0,
      paused: isPaused ? left : 0,
    },
    queueStatus: { isActive, isPaused },
  };
}

function faultFor(immich: FakeImmich, line: string): Fault | undefined {
  const fault = immich.faults.get(line);
  if (fault === undefined || !("times" in fault)) return fault;
  if (fault.times === 0) return undefined;
  immich.faults.set(line, { ...fault, times: (fault.times ?? 1) - 1 });
  return fault;
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
}
