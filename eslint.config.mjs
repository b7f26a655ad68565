import pulumi from "@pulumi/eslint-plugin";
import tseslint from "typescript-eslint";

/**
 * The rooms of the house and the rooms each may import from. What is not listed is forbidden, so a
 * file's path says what it may touch.
 */
const mayImport = {
  util: [],
  catalog: ["util"],
  immich: ["util", "catalog"],
  config: ["util", "catalog", "immich"],
  verify: ["util", "catalog", "immich"],
  preflight: ["util", "catalog", "immich", "config"],
  components: ["util", "catalog", "immich", "config", "preflight", "verify"],
  image: ["util", "catalog"],
  policy: [],
  cli: ["util", "catalog", "immich", "config", "preflight", "verify"],
  setup: ["util", "catalog", "immich", "config", "preflight", "verify", "cli"],
  demo: ["util", "catalog", "immich", "config", "preflight", "verify", "components", "image"],
};

const layers = Object.entries(mayImport).map(([room, allowed]) => {
  const others = [...Object.keys(mayImport), "test", "bench", "docs", "index"];
  const forbidden = others.filter((other) => other !== room && !allowed.includes(other));
  return {
    files: [`${room}/**/*.ts`],
    rules: {
      "no-restricted-imports": [
        "error",
        {
          patterns: [
            {
              regex: `^(\\.\\./)+(${forbidden.join("|")})(/|$)`,
              message: `${room}/ may import only from: ${allowed.join(", ") || "nothing of ours"} (see CONTRIBUTING.md)`,
            },
          ],
        },
      ],
    },
  };
});

export default tseslint.config(
  { ignores: ["node_modules/**", ".demo/**", "**/*.{mjs,cjs}"] },
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
