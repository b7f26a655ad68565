import { existsSync } from "node:fs";

import { type Browser, chromium } from "playwright-core";

import { installDebianPackages, isRoot } from "../../demo/shell";

const executablePath = "/usr/bin/chromium";
/** It looks for nothing by itself, so that every request a page makes is the page's own. */
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

/** Why tests that need a browser must be skipped here; undefined when there is one. */
export const missingChromium =
  existsSync(executablePath) || isRoot() ? undefined : `there is no ${executablePath}`;
if (missingChromium) console.log(`SKIPPED: ${missingChromium}, no page is looked at in a browser`);

/** Debian's Chromium; installed where it is missing and the caller is root. */
export async function startChromium(): Promise<Browser> {
  if (missingChromium) throw new Error(`${missingChromium}: apt-get install chromium`);
  if (!existsSync(executablePath))
    await installDebianPackages(["chromium", "fonts-dejavu-core"], console.log);
  return chromium.launch({ executablePath, args });
}
