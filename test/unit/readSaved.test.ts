import { describe, expect, it, vi } from "vitest";

import { readSaved } from "../../util/readSaved";

const saving = new Error(
  "invocation of pulumi:pulumi:readStackResourceOutputs returned an error: failed to load checkpoint: EOF",
);

describe("the state while the engine saves it", () => {
  it("is read again", async () => {
    const read = vi.fn().mockRejectedValueOnce(saving).mockRejectedValueOnce(saving);
    await expect(readSaved(read.mockResolvedValue("state"))).resolves.toBe("state");
    expect(read).toHaveBeenCalledTimes(3);
  });

  it("is read again where the command line says so below other lines", async () => {
    const ended = new Error("pulumi stack: warning: a newer release", {
      cause:
        "error: could not load the stack: failed to load checkpoint: unexpected end of JSON input",
    });
    const read = vi.fn().mockRejectedValueOnce(ended).mockResolvedValue("state");
    await expect(readSaved(read)).resolves.toBe("state");
  });

  it("is given up after its limit, with the engine's own words", async () => {
    const read = vi.fn().mockRejectedValue(saving);
    await expect(readSaved(read, 0.35)).rejects.toBe(saving);
    expect(read.mock.calls.length).toBeGreaterThan(2);
  });

  it.each([
    "failed to load checkpoint: snapshot integrity failure; refusing to use it",
    "incorrect passphrase",
  ])("is not asked again for another reason: %s", async (message) => {
    const read = vi.fn().mockRejectedValue(new Error(message));
    await expect(readSaved(read)).rejects.toThrow(message);
    expect(read).toHaveBeenCalledTimes(1);
  });
});
