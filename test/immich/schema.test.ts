import { describe, expect, test } from "vitest";

import { differencesFrom } from "./releaseFacts";
import { findImmich } from "./source";

const { sources, line } = findImmich();
console.log(line);

describe.skipIf(sources.length === 0)("our tables and the release itself", () => {
  test.each(sources)("$release: every key, default, limit and model name is the same", (source) => {
    expect(differencesFrom(source)).toEqual([]);
  });
});
