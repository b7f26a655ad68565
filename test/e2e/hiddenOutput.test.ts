import { describe, expect, it } from "vitest";

import { missingEngine, openEngineStack } from "../support/engineStack";

/** The engine hides the text of every secret of a stack file wherever it stands in its output. */
describe.skipIf(missingEngine)("the password of Immich's published compose file", () => {
  const password = "postgres";
  const config = {
    immich: { version: "v2.7.5", database: { container: "immich_postgres" } },
    preset: "legacy-postgres",
    hosts: [{ name: "attic", accelerator: "cpu", publish: { address: "127.0.0.1" } }],
  };

  async function refusal(options: { config: object; secrets: Record<string, string> }) {
    const stack = await openEngineStack({
      name: "hidden",
      config: { ...options.config },
      secrets: options.secrets,
    });
    try {
      return await stack.preview().then(
        () => "",
        (error: Error) => error.message,
      );
    } finally {
      await stack.dispose();
    }
  }

  it("may be plain text, and then hides nothing", async () => {
    const message = await refusal({
      config: { ...config, databasePassword: password },
      secrets: {},
    });
    expect(message).toContain('immich-ml:preset: "legacy-postgres"');
    expect(message).not.toContain("is in plain text");
    expect(message).not.toContain("[secret]");
  });

  it("hides the word in all output when it is a secret", async () => {
    const message = await refusal({ config, secrets: { databasePassword: password } });
    expect(message).toContain('immich-ml:preset: "legacy-[secret]"');
  });

  it("is the only one that may be plain text", async () => {
    const message = await refusal({
      config: { ...config, databasePassword: "other" },
      secrets: {},
    });
    expect(message).toContain("databasePassword: is in plain text");
  });
});
