import type { EngineEvent } from "@pulumi/pulumi/automation";
import { afterEach, expect, test } from "vitest";

import { EngineEvents } from "../../demo/engineEvents";

const told: string[] = [];
let events: EngineEvents | undefined;

afterEach(() => {
  events?.end();
  told.length = 0;
});

function listen(kind: "preview" | "up", warnings = new Set<string>()): EngineEvents {
  events = new EngineEvents(kind, (line) => told.push(line), warnings);
  return events;
}

function begins(op: string, type: string, name: string, states: object = {}): EngineEvent {
  const urn = `urn:pulumi:demo::immich-ml::${type}::${name}`;
  return { resourcePreEvent: { metadata: { op, type, urn, ...states } } } as unknown as EngineEvent;
}

function warns(message: string): EngineEvent {
  return { diagnosticEvent: { severity: "warning", message } } as unknown as EngineEvent;
}

const container = "docker:index/container:Container";

test("a preview names every resource that changes and no other", () => {
  const { hear } = listen("preview");
  hear(begins("create", container, "attic"));
  hear(begins("same", container, "cellar"));
  hear(begins("refresh", container, "cellar"));
  hear(begins("create", "pulumi:providers:docker", "docker-local"));

  expect(told).toEqual(["  + create  Container attic"]);
});

test("an update shows the values that differ, with both of them, and no other", () => {
  const { hear } = listen("preview");
  hear(
    begins("update", "command:local:Command", "preset-settings", {
      old: { inputs: { settings: { "clip.modelName": "RN50__openai", "ocr.enabled": false } } },
      new: { inputs: { settings: { "clip.modelName": "ViT-B-32__openai", "ocr.enabled": false } } },
    }),
  );

  expect(told).toEqual([
    "  ~ update  Command preset-settings",
    '      settings clip.modelName: "RN50__openai" → "ViT-B-32__openai"',
  ]);
});

test("a replacement is one line, not three", () => {
  const { hear } = listen("preview");
  for (const op of ["create-replacement", "replace", "delete-replaced"])
    hear(begins(op, container, "attic", { old: { inputs: {} }, new: { inputs: {} } }));

  expect(told).toEqual(["  ± replace Container attic"]);
});

test("a warning is told once in all operations that share its memory", () => {
  const warnings = new Set<string>();
  listen("preview", warnings).hear(warns("<{%fg 3%}>careful<{%reset%}>"));
  events?.end();
  listen("up", warnings).hear(warns("careful"));

  expect(told).toEqual(["    pulumi: warning: careful"]);
});

test("changes are counted without what stays the same", () => {
  const listening = listen("preview");
  const resourceChanges = { same: 17, update: 2, create: 1 };
  listening.hear({ summaryEvent: { resourceChanges } } as unknown as EngineEvent);

  expect(listening.count.changes).toBe(3);
});

test("an error is remembered, so that nobody prints it a second time", () => {
  const listening = listen("up");
  expect(listening.count.hasError).toBe(false);
  listening.hear({
    diagnosticEvent: { severity: "error", message: "the container ended" },
  } as unknown as EngineEvent);

  expect(listening.count.hasError).toBe(true);
  expect(told).toEqual(["    pulumi: error: the container ended"]);
});
