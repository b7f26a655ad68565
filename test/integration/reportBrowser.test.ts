import { readFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { pathToFileURL } from "node:url";

import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { page } from "../../cli/report/page";
import type { ReportData } from "../../cli/report/reportData";
import { missingChromium, startChromium } from "../support/chromium";
import { exampleReport } from "../support/reportData";

/** Names as long and as wrong as they can be. */
function hostileReport(): ReportData {
  const data = exampleReport();
  const name = `"><script>document.title = "broken"</script><img src=x onerror=alert(1)>${"W".repeat(300)}`;
  return {
    ...data,
    stack: { answer: name },
    hosts: {
      answer: data.hosts.answer!.map((host) => ({
        ...host,
        host: name,
        problem: name,
        models: [{ name, size: 1 }],
      })),
    },
    settings: data.settings.map((setting) => ({ ...setting, declared: name, actual: name })),
    history: {
      answer: data.history.answer!.map((operation) => ({ ...operation, message: name })),
    },
  };
}

const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

const screens = [
  { width: 390, colorScheme: "light" },
  { width: 390, colorScheme: "dark" },
  { width: 1280, colorScheme: "light" },
  { width: 1280, colorScheme: "dark" },
] as const;

describe.skipIf(missingChromium)("a report in a real browser", () => {
  let folder: string;
  let browser: Browser;

  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), "immich-ml-test-report-"));
    browser = await startChromium();
  });

  afterAll(async () => {
    await browser?.close();
    if (folder) await rm(folder, { recursive: true });
  });

  /** Opens a report as a file, with every part of it unfolded, and keeps what went wrong. */
  async function open(data: ReportData, screen: (typeof screens)[number]) {
    const file = path.join(folder, "report.html");
    await writeFile(file, page(data));
    const { colorScheme } = screen;
    const tab = await browser.newPage({
      viewport: { width: screen.width, height: 900 },
      colorScheme,
    });
    const problems: string[] = [];
    const requests: string[] = [];
    tab.on("console", (message) => problems.push(message.text()));
    tab.on("pageerror", (error) => problems.push(error.message));
    tab.on("dialog", (dialog) => problems.push(dialog.message()));
    tab.on("request", (request) => requests.push(request.url()));
    const address = pathToFileURL(file).href;
    await tab.goto(address);
    await tab.evaluate(
      "document.querySelectorAll('details').forEach((one) => { one.open = true; })",
    );
    const others = requests.filter((url) => url !== address && !url.startsWith("data:"));
    return { tab, problems, others };
  }

  describe.each(screens)("$width px, $colorScheme", (screen) => {
    it("asks the network for nothing, reports no error and does not scroll sideways", async () => {
      for (const data of [exampleReport(), hostileReport()]) {
        const { tab, problems, others } = await open(data, screen);
        expect({ problems, others }).toEqual({ problems: [], others: [] });
        expect(await tab.title()).not.toBe("broken");
        const wide = await tab.evaluate("document.documentElement.scrollWidth");
        expect(wide).toBeLessThanOrEqual(screen.width);
        await tab.close();
      }
    });

    it("has the verdict on top and the chosen model marked", async () => {
      const { tab } = await open(exampleReport(), screen);
      const verdict = (await tab.locator("h1").boundingBox())!;
      expect(verdict.y + verdict.height).toBeLessThan(300);
      expect(await tab.locator("h1").innerText()).toBe("2 things need a look");
      expect(await tab.locator("tr.chosen").innerText()).toContain("ViT-B-32__openai");
      await tab.close();
    });

    it("has no fault that axe-core finds, with every rule of WCAG 2.2 AA and its best practices", async () => {
      for (const data of [exampleReport(), hostileReport()]) {
        const { tab } = await open(data, screen);
        await tab.evaluate(axe);
        const faults = await tab.evaluate(
          `axe.run().then(({ violations, passes }) => ({
            violations: violations.map(({ id, nodes }) => id + ": " + nodes[0].html),
            passed: passes.length,
          }))`,
        );
        expect(faults).toMatchObject({ violations: [] });
        expect((faults as { passed: number }).passed).toBeGreaterThan(15);
        await tab.close();
      }
    });

    it("the keyboard reaches and unfolds what is folded, and shows where it is", async () => {
      const { tab } = await open(exampleReport(), screen);
      const isOpen = () => tab.evaluate("document.querySelector('details').open");
      await tab.keyboard.press("Tab");
      expect(await tab.evaluate("document.activeElement.tagName")).toBe("SUMMARY");
      expect(await tab.evaluate("getComputedStyle(document.activeElement).outlineWidth")).toBe(
        "3px",
      );
      expect(await isOpen()).toBe(true);
      await tab.keyboard.press("Enter");
      expect(await isOpen()).toBe(false);
      await tab.close();
    });

    it("every text stands out from what is behind it (WCAG AA: 4.5 to 1)", async () => {
      const { tab } = await open(exampleReport(), screen);
      expect(await lowContrasts(tab)).toEqual([]);
      await tab.close();
    });
  });
});

/** The texts whose colour is nearer to the ground's than 4.5 to 1, with the ratio. */
function lowContrasts(tab: Page): Promise<string[]> {
  return tab.evaluate(`(() => {
    const channels = (colour) => colour.match(/[\\d.]+/g).map(Number);
    const luminance = ([red, green, blue]) => {
      const part = (value) => {
        const share = value / 255;
        return share <= 0.03928 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
      };
      return 0.2126 * part(red) + 0.7152 * part(green) + 0.0722 * part(blue);
    };
    const ground = (element) => {
      for (let at = element; at; at = at.parentElement) {
        const [red, green, blue, alpha = 1] = channels(getComputedStyle(at).backgroundColor);
        if (alpha > 0) return [red, green, blue];
      }
      return [255, 255, 255];
    };
    return [...document.body.querySelectorAll("*")].flatMap((element) => {
      const text = [...element.childNodes]
        .filter((node) => node.nodeType === Node.TEXT_NODE)
        .map((node) => node.data.trim())
        .join("");
      if (text === "" || !element.checkVisibility()) return [];
      const style = getComputedStyle(element);
      const colour = element instanceof SVGElement ? style.fill : style.color;
      const both = [luminance(channels(colour)), luminance(ground(element))].sort((a, b) => b - a);
      const ratio = (both[0] + 0.05) / (both[1] + 0.05);
      return ratio < 4.5 ? [text.slice(0, 40) + " " + ratio.toFixed(2)] : [];
    });
  })()`);
}
