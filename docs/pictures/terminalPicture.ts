import Convert from "ansi-to-html";

import { html, Html } from "../../cli/report/html";
import { startChromium } from "../../test/support/chromium";

/** The engine's colours, readable on the picture's dark background. */
const colours = {
  1: "#ff8f86",
  2: "#66d6a0",
  3: "#f2c071",
  4: "#8fb4ff",
  5: "#d9a5ff",
  6: "#6fd6e0",
  8: "#9eabb9",
  9: "#ff8f86",
  12: "#8fb4ff",
  13: "#d9a5ff",
};

/** A command and what a terminal shows of it. */
export interface Shown {
  readonly command: string;
  readonly screen: string;
}

/** A picture of a terminal with commands, one after the other. */
export async function terminalPicture(
  commands: readonly Shown[],
  columns: number,
): Promise<Buffer> {
  const convert = new Convert({ fg: "#e7ecf2", bg: "#0d1218", colors: colours, escapeXML: true });
  const page = html`<!doctype html>
    <meta charset="utf-8" />
    <style>
      body {
        display: inline-block;
        margin: 0;
        background: #0d1218;
      }
      pre {
        width: ${columns}ch;
        white-space: pre-wrap;
        margin: 0;
        padding: 18px 22px;
        color: #e7ecf2;
        font:
          14px/1.4 "DejaVu Sans Mono",
          monospace;
      }
    </style>
    ${commands.map(
      ({ command, screen }) =>
        html`<pre><b>$ ${command}</b>
${new Html(convert.toHtml(screen.trimEnd()))}</pre>`,
    )}`;
  const browser = await startChromium();
  try {
    const tab = await browser.newPage({
      viewport: { width: 1400, height: 400 },
      deviceScaleFactor: 1.4,
    });
    await tab.setContent(page.text);
    return await tab.locator("body").screenshot();
  } finally {
    await browser.close();
  }
}
