import { describe, expect, it } from "vitest";

import { containerFacts, redact } from "../../cli/bundle";

describe("the file for a bug report", () => {
  it("holds none of the stack's secrets, in whatever spelling", () => {
    const secret = `p'a"s $w\\ord/ü`;
    const text = `${secret} ${JSON.stringify(secret)} ${encodeURIComponent(secret)} end`;
    expect(redact(text, [secret, "ü"])).toBe('<secret> "<secret>" <secret> end');
  });

  it.each([
    ["http://user:geheim@proxy.example.org:3128/x", "http://<host>/x"],
    ["https://photos.example.org/api", "https://<host>/api"],
    ["https://github.com/immich-app/immich", "https://github.com/immich-app/immich"],
    ["http://immich-machine-learning:3003/ping", "http://immich-machine-learning:3003/ping"],
    ["http://192.168.1.5:2283 from 203.0.113.9", "http://192.168.1.5:2283 from <address>"],
    ["2001:db8::1 and fe80::1", "<address> and fe80::1"],
    ["me@example.org wrote", "<mail or user> wrote"],
    ["at 12:34:56 onnxruntime 1.14.1", "at 12:34:56 onnxruntime 1.14.1"],
  ])("has no address of the outside: %s", (text, redacted) => {
    expect(redact(text, [])).toBe(redacted);
  });

  it("shows a variable's value only where it is known to be harmless", () => {
    const text = JSON.stringify([
      {
        Config: { Env: ["DB_PASSWORD=geheim", "HF_TOKEN=hf_geheim", "MACHINE_LEARNING_WORKERS=1"] },
        HostConfig: { Memory: 5, Binds: ["/home/me:/cache"] },
      },
    ]);
    const facts = containerFacts(text);
    expect(facts).not.toContain("geheim");
    expect(facts).toContain("DB_PASSWORD=…");
    expect(facts).toContain("MACHINE_LEARNING_WORKERS=1");
  });
});
