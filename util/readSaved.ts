import { setTimeout as pause } from "node:timers/promises";

/**
 * Reads a stack's state, again while the engine saves it: a backend in a folder then answers "failed to load
 * checkpoint: EOF" for some milliseconds, since it empties the file beside the state before it writes it.
 *
 * @param seconds until it gives up
 * @throws what `read` throws: that error after these seconds, any other at once
 */
export async function readSaved<T>(read: () => Promise<T>, seconds = 10): Promise<T> {
  const limit = performance.now() + seconds * 1000;
  for (;;) {
    try {
      return await read();
    } catch (error) {
      const text = error instanceof Error ? `${error.message}\n${String(error.cause)}` : "";
      const isBeingSaved = /checkpoint: .*(EOF|unexpected end of JSON)/.test(text);
      if (!isBeingSaved || performance.now() > limit) throw error;
    }
    await pause(100);
  }
}
