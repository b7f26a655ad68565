import { readFileSync } from "node:fs";
import { type IncomingMessage, request as requestHttp } from "node:http";
import { request as requestHttps } from "node:https";
import { rootCertificates } from "node:tls";

import { sanitize } from "../util/sanitize";

/** A failed request to Immich's API. */
export class ImmichApiError extends Error {
  /** @param status the HTTP status, or undefined when no answer came */
  constructor(
    message: string,
    readonly status?: number,
  ) {
    super(sanitize(message));
  }
}

export interface ImmichApi {
  /** The server's address, e.g. http://immich_server:2283, with or without /api. */
  readonly url: string;
  /** Key of an administrator with systemConfig.read and systemConfig.update. */
  readonly apiKey: string;
  /** Path of a PEM file with an authority, or a certificate, to trust beside the known ones. */
  readonly caCertificate?: string | undefined;
}

const timeout = 15_000;
/** Milliseconds before each repetition of a request that changes nothing. */
const pauses = [500, 2_000];
/** Characters. Immich's messages are short; a longer text is not one of them. */
const maxMessageLength = 200;
/** Bytes. A whole configuration has some 20 KiB; a larger answer is not Immich's. */
const largestAnswer = 16 * 1024 * 1024;

/** What an API key may look like, for messages. */
export const apiKeyAllowed = "one word, as Immich shows a new API key";

/** Whether a text can be an API key: anything else cannot be sent as a header. */
export function isApiKey(text: string): boolean {
  return /^[\x21-\x7e]+$/.test(text);
}

/** Reads. Repeated when nothing answers or the server is busy, since it changes nothing. */
export async function getFromApi<Answer>(
  api: ImmichApi,
  path: string,
  { repeat = true } = {},
): Promise<Answer> {
  for (const pause of repeat ? pauses : []) {
    try {
      return await request<Answer>(api, "GET", path);
    } catch (error) {
      const { status } = error as ImmichApiError;
      if (status !== undefined && status < 500 && status !== 429) throw error;
      await new Promise((resolve) => setTimeout(resolve, pause));
    }
  }
  return request<Answer>(api, "GET", path);
}

/** Changes something. Sent once: when the answer is lost, the caller reads what became of it. */
export async function putToApi<Answer>(
  api: ImmichApi,
  path: string,
  body: unknown,
): Promise<Answer> {
  return request<Answer>(api, "PUT", path, body);
}

async function request<Answer>(
  api: ImmichApi,
  method: "GET" | "PUT",
  path: string,
  body?: unknown,
): Promise<Answer> {
  if (!isApiKey(api.apiKey))
    throw new ImmichApiError(`immich-ml:immichApiKey must be ${apiKeyAllowed}`);
  const base = serverAddress(api.url);
  const failed = (error: string, status?: number) =>
    // A proxy or a junk server may send back what it was sent.
    new ImmichApiError(`Immich at ${base} ${error}`.replaceAll(api.apiKey, "…"), status);
  const { status, location, text } = await send(`${base}/api${path}`, api, method, body).catch(
    (error: unknown) => {
      throw failed(networkError(error));
    },
  );
  if (status >= 300 && status < 400) {
    const where = location === undefined ? "elsewhere" : `to ${location}`;
    throw failed(`redirects ${where}: set immich-ml:immich.api.url to that server`, status);
  }
  if (status >= 400) {
    const isAsleep = status === 404 && path !== maintenancePath && (await isInMaintenance(api));
    throw failed(isAsleep ? maintenance : refusal(status, text), status);
  }
  let answer: unknown;
  try {
    answer = JSON.parse(text);
  } catch {
    answer = undefined;
  }
  if (typeof answer === "object" && answer !== null) return answer as Answer;
  const what = /^\s*</.test(text)
    ? "a web page"
    : answer === undefined
      ? "incomplete JSON"
      : "a single value instead of an object";
  throw failed(
    `answered ${method} /api${path} with ${what}: is this the address of the Immich ` +
      "server itself, e.g. http://immich_server:2283, and not of a login page or another service in front of it?",
    status,
  );
}

interface RawAnswer {
  readonly status: number;
  /** Where a redirect points, without what a proxy may have put into its query. */
  readonly location: string | undefined;
  readonly text: string;
}

async function send(
  address: string,
  { apiKey, caCertificate }: ImmichApi,
  method: string,
  body: unknown,
): Promise<RawAnswer> {
  const isEncrypted = new URL(address).protocol === "https:";
  const ca =
    isEncrypted && caCertificate !== undefined
      ? [...rootCertificates, readFileSync(caCertificate, "utf8")]
      : undefined;
  const content = body === undefined ? undefined : JSON.stringify(body);
  const options = {
    method,
    headers: {
      accept: "application/json",
      "x-api-key": apiKey,
      ...(content !== undefined && {
        "content-type": "application/json",
        "content-length": Buffer.byteLength(content),
      }),
    },
    signal: AbortSignal.timeout(timeout),
    ...(ca && { ca }),
  };
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    const outgoing = (isEncrypted ? requestHttps : requestHttp)(address, options, resolve);
    outgoing.on("error", reject);
    outgoing.end(content);
  });
  const location = response.headers.location;
  return {
    status: response.statusCode ?? 0,
    location:
      location !== undefined && URL.canParse(location, address)
        ? new URL(location, address).origin
        : undefined,
    text: await wholeText(response),
  };
}

const maintenancePath = "/server/config";
const maintenance =
  "is in maintenance mode and answers no other request: end it (Administration, Maintenance), then run the program again";

/** Whether an administrator has put the server into its maintenance mode (v2.4 and newer). */
async function isInMaintenance(api: ImmichApi): Promise<boolean> {
  try {
    const { maintenanceMode } = await request<{ maintenanceMode?: boolean }>(
      api,
      "GET",
      maintenancePath,
    );
    return maintenanceMode === true;
  } catch {
    return false;
  }
}

/** The address without `/api` and slashes at its end. */
function serverAddress(url: string): string {
  if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol)) {
    throw new ImmichApiError(
      "immich-ml:immich.api.url must be a URL that begins with http:// or https://",
    );
  }
  const { username, password } = new URL(url);
  if (username !== "" || password !== "") {
    throw new ImmichApiError("immich-ml:immich.api.url must be without a user or password");
  }
  let end = url.length;
  while (url[end - 1] === "/") end -= 1;
  const base = url.slice(0, end);
  return base.endsWith("/api") ? base.slice(0, -"/api".length) : base;
}

async function wholeText(response: IncomingMessage): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of response) {
    chunks.push(chunk as Uint8Array);
    size += (chunk as Uint8Array).length;
    if (size > largestAnswer) throw new Error(tooLarge);
  }
  return Buffer.concat(chunks).toString("utf8");
}

const tooLarge = "the answer is too large";

function networkError(error: unknown): string {
  const { name, message, code = "" } = error as Error & { code?: string };
  if (name === "TimeoutError" || name === "AbortError")
    return `did not send its whole answer within ${timeout / 1000} s`;
  if (message === tooLarge) {
    return `answers with more than ${largestAnswer / 1024 / 1024} MiB: is this the address of the Immich server itself?`;
  }
  if (/^(ECONNRESET|EPIPE)$/.test(code) || message === "aborted") {
    return "broke off in the middle of its answer";
  }
  if (code === "ENOTFOUND" || code === "EAI_AGAIN")
    return "has a name that cannot be resolved here";
  if (code === "CERT_HAS_EXPIRED") return "has a certificate that has expired: renew it";
  if (code === "ERR_TLS_CERT_ALTNAME_INVALID") {
    return "has a certificate for another name: set immich-ml:immich.api.url to the name in the certificate";
  }
  if (/CERT|ISSUER|SIGNATURE/.test(code)) {
    return `has a certificate that no known authority has signed (${code}): set immich-ml:immich.api.caCertificate to the PEM file of your own authority, or to that certificate`;
  }
  if (code === "EPROTO" || /^ERR_SSL/.test(code)) {
    return "does not speak TLS at this port: check the port of immich-ml:immich.api.url, and whether it should begin with http://";
  }
  if (/^(HPE_|ERR_HTTP)/.test(code)) return "answers with something that is not HTTP";
  return `does not answer (${code || message}): is it running?`;
}

function refusal(status: number, text: string): string {
  const message = messageOf(text);
  switch (status) {
    case 401:
      return `refuses the API key (${message}): immich-ml:immichApiKey must be a key of this server`;
    case 403:
      return (
        `does not let this API key do it (${message}): it must belong to an administrator and have the permissions ` +
        "systemConfig.read and systemConfig.update, and for indexing again job.read and job.create"
      );
    case 404:
      return "has no such API (404): it is older than v1.118, or the address is not Immich's";
    default:
      return `answered with HTTP ${status} (${message})`;
  }
}

/** Immich's `message`, or the `errors` of a failed validation; never the whole answer. */
function messageOf(text: string): string {
  try {
    const { message, errors } = JSON.parse(text) as { message?: unknown; errors?: unknown };
    const parts = [message, ...(Array.isArray(errors) ? (errors as unknown[]) : [])]
      .flat()
      .map((part: unknown) => {
        const { path, message: inner } = (part ?? {}) as { path?: unknown; message?: unknown };
        if (typeof part === "string") return part;
        const steps = (Array.isArray(path) ? (path as unknown[]) : []).filter(
          (step) => typeof step === "string" || typeof step === "number",
        );
        return [steps.join("."), typeof inner === "string" ? inner : ""]
          .filter((piece) => piece !== "")
          .join(": ");
      });
    const joined = parts.filter((part) => part !== "").join("; ");
    return joined.slice(0, maxMessageLength) || "without a message";
  } catch {
    return /^\s*</.test(text) ? "a web page, not Immich's API" : "without a message";
  }
}
