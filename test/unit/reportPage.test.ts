import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { presets } from "../../catalog/presets";
import { parseDeclared, parseHistory, parseCheckResults } from "../../cli/report/gather";
import { html } from "../../cli/report/html";
import { overviewOf } from "../../cli/report/modelFit";
import { page } from "../../cli/report/page";
import type { HostReport, ReportData } from "../../cli/report/reportData";
import { verdictOf } from "../../cli/report/verdict";
import { earlierReadings, merged, readingsOf } from "../../cli/report/videoMemory";
import type { PassedCheck } from "../../verify/check";
import { exampleReport } from "../support/reportData";

/** The tags of a document with the names of their attributes, without any text or value. */
function skeleton(document: string): string {
  return [...document.matchAll(/<(\/?[a-z!][^\s>]*)((?:[^"'>]|"[^"]*"|'[^']*')*)>/gi)]
    .map(
      ([, tag, attributes]) =>
        `<${tag}${attributes!.replace(/"[^"]*"/g, '""').replace(/\s+/g, " ")}>`,
    )
    .join("\n");
}

/** The example with another text in the place of each one that comes from outside. */
function withTexts(text: string): ReportData {
  const replace = (value: unknown): unknown => {
    if (typeof value === "string") return text;
    if (value instanceof Date || typeof value !== "object" || value === null) return value;
    if (Array.isArray(value)) return value.map(replace);
    return Object.fromEntries(
      Object.entries(value).map(([key, child]: [string, unknown]) => [
        key,
        // What decides about the page's shape stays as it is.
        ["verdict", "source", "accelerator", "health", "result", "key"].includes(key)
          ? child
          : replace(child),
      ]),
    );
  };
  return replace(exampleReport()) as ReportData;
}

const hostile = [
  `"><script>alert(1)</script>`,
  `' onmouseover='alert(1)`,
  "</style></title><img src=x onerror=alert(1)>",
  "`${alert(1)}` --> <!-- ]]>",
  "&lt;b&gt;&#0;",
  "\u0000\u0007\u001b[31m\u202egnp.exe",
  "javascript:alert(1)",
];

describe("a report", () => {
  it(
    "has the same elements and attributes whatever hosts, models and messages are called",
    { timeout: 60_000 },
    () => {
      const plain = skeleton(page(withTexts("a")));
      const text = fc.oneof(
        fc.constantFrom(...hostile),
        fc.string({ minLength: 1, unit: "grapheme" }),
        fc.string({ minLength: 1, unit: "binary" }),
        fc
          .array(fc.constantFrom(..."<>\"'`=/& abc"), { minLength: 1 })
          .map((parts) => parts.join("")),
      );
      fc.assert(
        fc.property(text, (anything) => {
          expect(skeleton(page(withTexts(anything)))).toBe(plain);
        }),
        { numRuns: 100, examples: hostile.map((one): [string] => [one]) },
      );
    },
  );

  it("gives every text back as it was, but for what no document may hold", () => {
    expect(html`<p title="${`"'`}">${"<&>"}${["a", undefined, false, 1]}</p>`.text).toBe(
      '<p title="&quot;&#39;">&lt;&amp;&gt;a1</p>',
    );
    expect(html`${"\u0000 \u009f\n"}`.text).toBe("\ufffd \ufffd\n");
  });

  it("loads nothing and runs no script", () => {
    const text = page(exampleReport());
    expect(text).not.toMatch(/<script|<iframe|<img|@import|url\(/i);
    expect(text).not.toMatch(/(src|href)="(?!data:)/);
    expect(text).toContain("default-src 'none'");
  });

  it("says of everything that is not known that it is not known", () => {
    const nothing: ReportData = {
      stack: { unknown: "no stack" },
      made: new Date(0),
      hosts: { unknown: "there is no pulumi on the PATH" },
      settings: [],
      queues: [],
      history: { unknown: "there is no pulumi on the PATH" },
      readings: [],
    };
    const text = page(nothing);
    expect(text.match(/Not known: there is no pulumi on the PATH/g)).toHaveLength(2);
    expect(text).toContain("memory is known, so none is ruled out.");
    expect(text).toContain("<h1>Nothing is known about this stack</h1>");
    expect(text).toContain("Not known: no check has tried Immich");
    expect(text).not.toMatch(/undefined|NaN|Infinity|\[object/);
  });

  it("without Immich's API shows the declared settings alone", () => {
    const settings = [{ key: "machineLearning.ocr.enabled", declared: false }];
    const text = page({ ...exampleReport(), settings, queues: [] });
    expect(text).toContain("ocr.enabled");
    expect(text).not.toMatch(/In Immich|Queue|differs|not asked/);
  });

  it("shows each model's time on the GPU beside the CPU's", () => {
    const cells = /ViT-B-32__openai<\/strong> visual on attic[^]*?<\/tr>/.exec(
      page(exampleReport()),
    )![0];
    expect(cells).toMatch(/CUDA[^]*14\.2 ms[^]*173\.9 ms[^]*12 times/);
  });

  it("has nothing of a GPU where only CPUs compute", () => {
    const data = exampleReport();
    const [host] = data.hosts.answer!;
    const onCpu = { ...host!, accelerator: "cpu" as const, gpu: undefined, gpus: [] };
    const text = page({ ...data, hosts: { answer: [onCpu] }, readings: [] });
    expect(text).not.toMatch(/On the GPU|Faster|<dt>GPU|no accelerator/);
    expect(text).toMatch(/<dt>Computes on<\/dt>\s*<dd>CPU<\/dd>/);
  });

  it("says a single problem once", () => {
    const data = exampleReport();
    const [host] = data.hosts.answer!;
    const starting = { ...host!, health: "starting" };
    const text = page({ ...data, settings: [], hosts: { answer: [starting] } });
    expect(text.match(/attic is starting/g)).toHaveLength(1);
  });

  it("shows no password of an address", () => {
    const data = exampleReport();
    const settings = [{ key: "machineLearning.urls", declared: ["http://me:hunter2@attic:3003"] }];
    expect(page({ ...data, settings })).not.toContain("hunter2");
  });
});

describe("the verdict of a report", () => {
  const [attic, cellar] = exampleReport().hosts.answer!;
  const data = { ...exampleReport(), settings: [] };
  const verdict = (...hosts: readonly object[]) =>
    verdictOf({ ...data, hosts: { answer: hosts as readonly HostReport[] } });
  const passed = attic!.check!.check as PassedCheck;
  const checked = (check: object) => ({ ...attic, check: { check: { ...passed, ...check } } });

  it.each([
    ["one card", [attic], "good", "Your GPU is in use"],
    [
      "two cards",
      [checked({ devices: [...passed.devices, ...passed.devices] })],
      "good",
      "Your GPUs are in use",
    ],
    [
      "a CPU that shall compute",
      [{ ...checked({ provider: "CPUExecutionProvider" }), accelerator: "cpu" }],
      "good",
      "Your CPU is in use",
    ],
    [
      "a silent fallback",
      [checked({ provider: "CPUExecutionProvider" })],
      "bad",
      "attic computes on its CPU",
    ],
    [
      "a failed check",
      [checked({ ok: false, error: "no kernel" })],
      "bad",
      "attic does not compute",
    ],
    ["a stopped container", [{ ...attic, health: "exited" }], "bad", "attic does not work"],
    ["an unhealthy container", [{ ...attic, health: "unhealthy" }], "bad", "attic does not work"],
    ["no check", [{ ...attic, check: undefined }], "warn", "attic was never checked"],
    ["a host that is off", [attic, cellar], "warn", "cellar does not answer"],
    ["several problems", [{ ...attic, health: "exited" }, cellar], "bad", "2 things need a look"],
    ["no host", [], "warn", "This stack has no host yet"],
  ])("of %s", (_case, hosts, tone, title) => {
    expect(verdict(...(hosts as object[]))).toMatchObject({ tone, title });
  });

  it("is the worst first, and good only where everything is", () => {
    const { findings } = verdict(cellar!, attic!, { ...attic, host: "shed", health: "dead" });
    expect(findings.map(({ tone }) => tone)).toEqual(["bad", "warn", "good"]);
    const drifted = verdictOf({ ...exampleReport(), hosts: { answer: [attic!] } });
    expect(drifted).toMatchObject({
      tone: "warn",
      title: "Immich's settings differ from the stack file",
    });
  });
});

describe("the video memory of earlier reports", () => {
  const { readings } = exampleReport();

  it("goes from one report to the next, whatever the names", () => {
    for (const name of ["attic", ...hostile]) {
      const named = readings.map((reading) => ({ ...reading, of: name }));
      const text = page({ ...exampleReport(), stack: { answer: name }, readings: named });
      expect(earlierReadings(text, name)).toEqual(named);
      expect(earlierReadings(text, "another")).toEqual([]);
    }
  });

  it("is empty where the file is something else, and bounded", () => {
    for (const text of ["", "hello", 'data-readings="{"', 'data-readings="[1]"'])
      expect(earlierReadings(text, "dev")).toEqual([]);
    const many = Array.from({ length: 200 }, () => readings[0]!);
    expect(earlierReadings(page({ ...exampleReport(), readings: many }), "dev")).toHaveLength(40);
  });

  it("is that of the last check, with the models loaded", () => {
    const [attic] = exampleReport().hosts.answer!;
    const at = new Date("2026-11-24T18:40:00Z");
    const check = {
      ...(attic!.check!.check as PassedCheck),
      videoMemory: [{ used: 1320, total: 2000 }],
    };
    expect(readingsOf([{ ...attic!, check: { check, at } }], new Date(0))).toEqual([
      { at: at.toISOString(), of: "attic, NVIDIA GeForce GTX 750 Ti", used: 1320, total: 2000 },
    ]);
  });

  it("is that of now where the check has none, of each GPU that answers", () => {
    const gpus = [
      { name: "GTX 970", used: 100, free: 3996 },
      { name: "GTX 970", used: NaN, free: NaN },
    ];
    const host = { ...exampleReport().hosts.answer![0]!, gpus };
    expect(readingsOf([host], new Date(0))).toEqual([
      { at: "1970-01-01T00:00:00.000Z", of: "attic, GTX 970", used: 100, total: 4096 },
    ]);
  });

  it("is counted once for each run, however many reports there are", () => {
    const [first, second] = readings;
    expect(merged([second!, first!], [second!])).toEqual([first, second]);
  });
});

describe("which models fit", () => {
  const legacy = {
    "machineLearning.clip.modelName": "immich-app/ViT-B-32__openai",
    "machineLearning.facialRecognition.modelName": "buffalo_s",
    "machineLearning.ocr.enabled": false,
    "machineLearning.ocr.modelName": "PP-OCRv5_server",
  };

  it("counts in the other models that are switched on, and the driver", () => {
    const { chosen, besides } = overviewOf(legacy, 2048, "v2.7.5");
    expect(chosen?.needs).toBe(1004 + 200 + 512);
    expect(besides).toEqual(["buffalo_s"]);
  });

  it("the suggested one is the preset's for the smallest card and known to the release", () => {
    const { best, models } = overviewOf(legacy, 2048, "v2.7.5");
    expect(best?.name).toBe(presets["legacy-2gb"]!.clip);
    expect(models.filter(({ fits }) => fits).every(({ needs }) => needs! <= 2048)).toBe(true);
    expect(overviewOf(legacy, 4096, "v2.7.5").best?.name).toBe(presets["legacy-4gb"]!.clip);
    // The preset for 4 GB needs a release with OCR.
    expect(overviewOf(legacy, 4096, "v1.113.0").best?.name).toBe(presets["legacy-2gb"]!.clip);
  });

  it("without a card none is ruled out, without a preset none is chosen", () => {
    const { models, chosen, best } = overviewOf({}, undefined, undefined);
    expect(models.every(({ fits }) => fits === undefined)).toBe(true);
    expect([chosen, best]).toEqual([undefined, undefined]);
  });
});

describe("what the engine says", () => {
  it("of a host's card is its name's memory, or the memory given", () => {
    const hosts = [
      { name: "attic", gpu: "gtx 750 ti" },
      { name: "cellar", gpu: 5.2, videoMemory: 4096 },
      { name: "shed", gpu: "auto" },
      { name: "roof" },
    ];
    const config = {
      "immich-ml:hosts": { objectValue: hosts, secret: false },
      "immich-ml:immich": { value: '{"version":"v2.7.5"}', secret: false },
      "immich-ml:databasePassword": { secret: true },
    };
    const { gpus, immichVersion } = parseDeclared(JSON.stringify(config));
    expect(immichVersion).toBe("v2.7.5");
    expect(gpus).toEqual({
      attic: { name: "GeForce GTX 750 Ti", videoMemory: 2048, source: "stack file" },
      cellar: { name: "5.2", videoMemory: 4096, source: "stack file" },
      shed: undefined,
      roof: undefined,
    });
  });

  it("of a check is its result and when it was stored; other commands are none", () => {
    const check = { ok: true, provider: "CUDAExecutionProvider", devices: [] };
    const command = (name: string, stdout: unknown) => ({
      urn: `urn:pulumi:dev::immich-ml::immich-ml:index:MachineLearning$command:local:Command::${name}`,
      type: "command:local:Command",
      modified: "2026-11-24T18:40:00Z",
      outputs: { stdout },
    });
    const resources = [
      command("attic-check", `${JSON.stringify(check)}\n`),
      command("cellar-check", "broken"),
      command("preset-restart", JSON.stringify(check)),
    ];
    expect(parseCheckResults(JSON.stringify({ deployment: { resources } }))).toEqual({
      attic: { check, at: new Date("2026-11-24T18:40:00Z") },
    });
    expect(parseCheckResults("{}")).toEqual({});
  });

  it("of the history takes over nothing of the stack file and its context", () => {
    const stored = {
      kind: "update",
      startTime: "2026-11-24T18:36:00Z",
      endTime: "2026-11-24T18:40:00Z",
      message: "smaller models",
      environment: { "git.author.email": "me@example.org" },
      config: { "immich-ml:databasePassword": { value: "in clear", secret: false } },
      result: "succeeded",
      resourceChanges: { create: 2 },
    };
    expect(parseHistory(JSON.stringify([stored]))).toEqual([
      {
        kind: "update",
        result: "succeeded",
        message: "smaller models",
        began: new Date("2026-11-24T18:36:00Z"),
        ended: new Date("2026-11-24T18:40:00Z"),
        changes: { create: 2 },
      },
    ]);
  });
});
