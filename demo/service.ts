/** How a machine-learning service answers. */
export interface ServiceAnswers {
  ping: string;
  /** Length of the embedding of a small picture. */
  dimension: number;
}

/** A picture of one pixel, as PNG. */
const picture = Buffer.from(
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4z8AAAAMBAQDJ/pLvAAAAAElFTkSuQmCC",
  "base64",
);

/**
 * Pings a service and asks it for the embedding of a picture, as Immich's server does.
 *
 * @param model a CLIP model by Immich's name; the service downloads it when it is missing
 * @throws an error that quotes any other answer
 */
export async function askService(url: string, model: string): Promise<ServiceAnswers> {
  const ping = await (await ask(`${url}/ping`, { signal: AbortSignal.timeout(10_000) })).text();
  const form = new FormData();
  form.set("entries", JSON.stringify({ clip: { visual: { modelName: model, options: {} } } }));
  form.set("image", new Blob([picture]), "picture.png");
  const answer = await ask(`${url}/predict`, { method: "POST", body: form });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`POST ${url}/predict answered ${answer.status}: ${text}`);
  const { clip } = JSON.parse(text) as { clip: string };
  return { ping, dimension: (JSON.parse(clip) as number[]).length };
}

async function ask(address: string, request: RequestInit): Promise<Response> {
  try {
    return await fetch(address, request);
  } catch (error) {
    const { message, cause } = error as Error;
    const reason = (cause as Error | undefined)?.message ?? message;
    throw new Error(`${address} does not answer: ${reason}`, { cause });
  }
}
