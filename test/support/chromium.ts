import { existsSync } from "node:fs";

import { type Browser, chromium } from "playwright-core";

import { installDebianPackages, isRoot } from "../../demo/shell";

const executablePath = "/usr/bin/chromium";
/** Without requests of the browser itself, so that every request is the page's. */
const args = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** Why tests that need a browser are skipped; undefined when there is one. */
export const missingChromium =
  existsSync(executablePath) || isRoot() ? undefined : `there is no ${executablePath}`;
if (missingChromium) console.log(`SKIPPED: ${missingChromium}, no page is tested in a browser`);

/** Debian's Chromium, which root installs when it is missing. */
export async function startChromium(): Promise<Browser> {
  if (missingChromium) throw new Error(`${missingChromium}: apt-get install chromium`);
  if (!existsSync(executablePath))
    await installDebianPackages(["chromium", "fonts-dejavu-core"], console.log);
  return chromium.launch({ executablePath, args });
}
