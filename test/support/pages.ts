import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";

export const repository = path.join(__dirname, "..", "..");

/** The text of a file, by its path from the root of this repository. */
export const read = (name: string) => readFileSync(path.join(repository, name), "utf8");

/** The pages in a folder, by their paths from the root of this repository. */
export const pagesIn = (folder: string) =>
  readdirSync(path.join(repository, folder))
    .filter((name) => name.endsWith(".md"))
    .map((name) => path.join(folder, name));

export const english = pagesIn("docs");
export const chinese = pagesIn("docs/zh-CN");
export const documents = [...pagesIn("."), ...english, ...chinese, "image/README.md"];
