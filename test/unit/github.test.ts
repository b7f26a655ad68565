import { accessSync, constants, readdirSync, readFileSync } from "node:fs";
import path from "node:path";

import { describe, expect, it } from "vitest";
import { parse } from "yaml";

const repository = path.join(__dirname, "..", "..");
const read = (name: string) => readFileSync(path.join(repository, name), "utf8");
const manifest = JSON.parse(read("package.json")) as {
  scripts: Record<string, string>;
  dependencies: Record<string, string>;
  devDependencies: Record<string, string>;
};

interface Workflow {
  readonly permissions: unknown;
  readonly jobs: Record<string, Job>;
}
interface Job {
  readonly "timeout-minutes"?: number;
  readonly steps: readonly { readonly uses?: string; readonly run?: string }[];
}

const folder = ".github/workflows";
const workflows = readdirSync(path.join(repository, folder)).map((name) => `${folder}/${name}`);

/** The workflow in docs/previews.md, which readers copy. */
const example = /```yaml\n# .github\/workflows\/([^]*?)```/;

describe.each([...workflows, "docs/previews.md"])("the workflow %s", (name) => {
  const text = name.endsWith(".md") ? (example.exec(read(name))?.[1] ?? "") : read(name);
  const { permissions, jobs } = parse(text.replace(/^\S+\n/, (line) => `# ${line}`)) as Workflow;
  const steps = Object.values(jobs).flatMap((job) => job.steps);

  it("pins each action by a full commit hash, with its version beside it", () => {
    const used = text.match(/uses: .*/g) ?? [];
    expect(used.length).toBeGreaterThan(0);
    for (const use of used)
      expect(use).toMatch(/^uses: [\w-]+\/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/);
    expect(steps.flatMap(({ uses }) => uses ?? [])).toHaveLength(used.length);
  });

  it("may only read, ends in time and keeps no credentials", () => {
    expect(permissions).toEqual({ contents: "read" });
    for (const job of Object.values(jobs)) expect(job["timeout-minutes"]).toBeGreaterThan(0);
    for (const step of steps.filter(({ uses }) => uses?.startsWith("actions/checkout")))
      expect(step).toMatchObject({ with: { "persist-credentials": false } });
  });

  it("runs only what exists", () => {
    const commands = steps.flatMap(({ run }) => run ?? []);
    expect(commands.length).toBeGreaterThan(0);
    for (const command of commands) {
      for (const [, script] of command.matchAll(/npm run ([\w:-]+)/g))
        expect(Object.keys(manifest.scripts)).toContain(script);
      for (const [file] of command.matchAll(/^\.ci\/\S+/gm))
        accessSync(path.join(repository, file), constants.X_OK);
    }
  });
});

it.each(["ci", "nightly"])(
  "the workflow %s has the Pulumi CLI, of the runner's release",
  (name) => {
    const [, release] = /pulumi-nodejs-\d+:(\S+)/.exec(read("runner/Dockerfile"))!;
    const { steps } = (parse(read(`${folder}/${name}.yml`)) as Workflow).jobs["test"]!;
    const commands = steps.map(({ run = "" }) => run);
    const installs = commands.findIndex((each) => each.includes(`--version ${release}\n`));
    const tests = commands.findIndex((each) => /\.ci\/run|test:nightly/.test(each));
    expect(installs).toBeGreaterThan(0);
    expect(installs).toBeLessThan(tests);
  },
);

it("one workflow runs .ci/run for every change, another the nightly tests", () => {
  expect(read(".github/workflows/ci.yml")).toMatch(/pull_request:[^]*run: \.ci\/run/);
  expect(read(".github/workflows/nightly.yml")).toMatch(/cron:[^]*npm run test:nightly/);
});

describe("dependency updates", () => {
  const { updates } = parse(read(".github/dependabot.yml")) as {
    updates: readonly {
      "package-ecosystem": string;
      directory: string;
      ignore?: readonly { "dependency-name": string }[];
    }[];
  };

  it("cover npm and the workflows, and leave the images' wheels alone", () => {
    expect(updates.map((update) => [update["package-ecosystem"], update.directory])).toEqual([
      ["npm", "/"],
      ["github-actions", "/"],
    ]);
  });

  it("leave @pulumi/command at 1.2.1", () => {
    const ignored = updates[0]!.ignore!.map((entry) => entry["dependency-name"]);
    expect(ignored).toContain("@pulumi/command");
    expect(manifest.dependencies["@pulumi/command"]).toBe("1.2.1");
    const known = JSON.stringify(manifest);
    for (const name of ignored) expect(known).toContain(`"${name}"`);
  });

  it("keep every version exact", () => {
    expect(read(".npmrc")).toMatch(/^save-exact\s*=\s*true$/m);
    for (const version of Object.values({ ...manifest.dependencies, ...manifest.devDependencies }))
      expect(version).toMatch(/^\d+\.\d+\.\d+(-[\w.]+)?$/);
  });
});

describe.each(["problem", "card"])("the issue form %s", (name) => {
  const form = parse(read(`.github/ISSUE_TEMPLATE/${name}.yml`)) as {
    name: string;
    description: string;
    body: readonly { type: string; id?: string; attributes: { label?: string; value?: string } }[];
  };

  it("is one that GitHub takes", () => {
    expect(form).toMatchObject({
      name: expect.any(String) as string,
      description: expect.any(String) as string,
    });
    const ids = form.body.flatMap(({ id }) => id ?? []);
    expect(new Set(ids).size).toBe(ids.length);
    for (const { type, attributes } of form.body) {
      expect(["markdown", "textarea", "input", "dropdown", "checkboxes"]).toContain(type);
      expect(type === "markdown" ? attributes.value : attributes.label).toBeTruthy();
    }
  });
});

it("a problem comes with the bundle of the check", () => {
  expect(read(".github/ISSUE_TEMPLATE/problem.yml")).toContain("`./immich-ml check --bundle`");
});
