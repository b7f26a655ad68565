/** What a machine-learning service answers to somebody who asks it as Immich's server does. */
export interface ServiceAnswers {
  ping: string;
  /** Length of the embedding of a small picture. */
  dimension: number;
}

/**
 * Asks a service for a sign of life and for the embedding of a picture.
 *
 * @param model a CLIP model by Immich's name; it is loaded, and downloaded where it has to be
 * @throws an error that says what was answered instead
 */
export async function askService(url: string, model: string): Promise<ServiceAnswers> {
  const ping = await (await ask(`${url}/ping`, { signal: AbortSignal.timeout(10_000) })).text();
  const form = new FormData();
  form.set("entries", JSON.stringify({ clip: { visual: { modelName: model, options: {} } } }));
  form.set("image", new Blob([redPicture(32)]), "picture.bmp");
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
    throw new Error(
      `${address} does not answer: ${(cause as Error | undefined)?.message ?? message}`,
    );
  }
}

/** A square picture as a BMP file, the one format that needs no compression. */
function redPicture(side: number): Uint8Array<ArrayBuffer> {
  const headers = 54;
  const picture = new DataView(new ArrayBuffer(headers + side * side * 4));
  picture.setUint16(0, 0x424d);
  picture.setUint32(2, picture.byteLength, true);
  picture.setUint32(10, headers, true);
  picture.setUint32(14, 40, true);
  picture.setInt32(18, side, true);
  picture.setInt32(22, side, true);
  picture.setUint16(26, 1, true);
  picture.setUint16(28, 32, true);
  for (let pixel = headers; pixel < picture.byteLength; pixel += 4)
    picture.setUint32(pixel, 0x00ff0000, true);
  return new Uint8Array(picture.buffer);
}
