import pulumi from "@pulumi/eslint-plugin";
import tseslint from "typescript-eslint";

/**
 * The rooms of the house and which others each may look into. What is not named is forbidden:
 * a file's path tells what it may touch, and this table is what keeps that true.
 */
const mayLookInto = {
  catalogue: [],
  immich: ["catalogue"],
  settings: ["catalogue", "immich"],
  proof: ["catalogue", "immich"],
  preflight: ["catalogue", "immich", "settings"],
  components: ["catalogue", "immich", "proof"],
  image: ["catalogue"],
  policy: [],
  report: ["catalogue", "immich", "proof", "bench"],
  rehearsal: ["catalogue", "immich", "settings", "proof", "preflight", "components", "image"],
};

const layers = Object.entries(mayLookInto).flatMap(([room, allowed]) => {
  const others = [...Object.keys(mayLookInto), "test", "bench", "index", "wiring"];
  const forbidden = others.filter((other) => other !== room && !allowed.includes(other));
  const rule = (files, from) => ({
    files,
    rules: {
      "no-restricted-imports": [
        "error",
        {
          patterns: [
            {
              regex: `^${from}(${forbidden.join("|")})(/|$)`,
              message: `${room} may only look into: ${allowed.join(", ") || "nothing of ours"} (see CONTRIBUTING.md)`,
            },
          ],
        },
      ],
    },
  });
  return [rule([`${room}/**/*.ts`], "(\\.\\./)+"), rule([`${room}.ts`], "\\./")];
});

export default tseslint.config(
  { ignores: ["node_modules/**", ".rehearsal/**", "**/*.{mjs,cjs}"] },
  ...tseslint.configs.recommendedTypeChecked,
  {
    languageOptions: { parserOptions: { project: "./tsconfig.json" } },
    plugins: { "@pulumi": pulumi },
    rules: {
      "@pulumi/no-output-in-template-literal": "error",
      "@typescript-eslint/consistent-type-imports": "error",
      "@typescript-eslint/no-unused-vars": ["error", { argsIgnorePattern: "^_" }],
    },
  },
  ...layers,
);
