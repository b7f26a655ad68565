import path from "node:path";
import { repositoryFolder } from "./folders";

/** Runs index.ts, which exports its outputs or a function that returns them. */
export async function loadProgram(): Promise<object> {
  const file = path.join(repositoryFolder, "index.ts");
  const loaded = (await import(file)) as { default?: unknown };
  const exported = loaded.default ?? loaded;
  return typeof exported === "function" ? (exported as () => Promise<object>)() : exported;
}
