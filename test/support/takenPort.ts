import { createServer } from "node:net";

import { freePort } from "../../demo/postgres";

/** A port of the loopback address that is in use until `close` is called. */
export async function takenPort(): Promise<{ port: number; close: () => Promise<void> }> {
  const port = await freePort();
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, "127.0.0.1", resolve);
  });
  return { port, close: () => new Promise((closed) => server.close(() => closed())) };
}
