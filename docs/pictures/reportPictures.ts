import { writeFile } from "node:fs/promises";
import path from "node:path";
import { pathToFileURL } from "node:url";

import { startChromium } from "../../test/support/chromium";

/** Each picture of a report, with the screen that it is taken on. */
const screens = {
  "report-light": { width: 1080, colorScheme: "light" },
  "report-dark": { width: 1080, colorScheme: "dark" },
  "report-phone": { width: 390, colorScheme: "light" },
} as const;

/** @param file the report */
export async function reportPictures(file: string): Promise<void> {
  const browser = await startChromium();
  try {
    for (const [name, { width, colorScheme }] of Object.entries(screens)) {
      const viewport = { width, height: 800 };
      const tab = await browser.newPage({ viewport, colorScheme });
      await tab.goto(pathToFileURL(file).href);
      const picture = await tab.screenshot({ fullPage: true });
      await writeFile(path.join(__dirname, `${name}.png`), picture);
      await tab.close();
    }
  } finally {
    await browser.close();
  }
}
