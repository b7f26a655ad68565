import pulumi from "@pulumi/eslint-plugin";
import boundaries from "eslint-plugin-boundaries";
import tseslint from "typescript-eslint";

/** Which room of the house may look into which other: design of the layers, held by lint. */
const rooms = {
  catalogue: [],
  immich: ["catalogue"],
  proof: ["catalogue", "immich"],
  preflight: ["catalogue", "immich", "settings"],
  settings: ["catalogue", "immich"],
  components: ["catalogue", "immich", "proof"],
  image: ["catalogue"],
  policy: ["catalogue"],
  report: ["catalogue", "immich", "settings", "proof"],
  rehearsal: ["catalogue", "immich", "components", "proof", "preflight", "settings", "image", "index"],
  bench: ["catalogue", "immich", "components", "settings", "preflight", "proof", "rehearsal", "test"],
  index: ["catalogue", "immich", "components", "preflight", "settings", "proof"],
  test: ["*"],
};

export default tseslint.config(
  { ignores: ["node_modules/**", ".rehearsal/**"] },
  ...tseslint.configs.recommendedTypeChecked,
  {
    languageOptions: { parserOptions: { project: "./tsconfig.json" } },
    plugins: { boundaries, "@pulumi": pulumi },
    settings: {
      "boundaries/include": ["**/*.ts"],
      "boundaries/elements": [
        { type: "index", pattern: "index.ts", mode: "full" },
        { type: "settings", pattern: "settings.ts", mode: "full" },
        ...Object.keys(rooms)
          .filter((room) => room !== "index")
          .map((room) => ({ type: room, pattern: `${room}/**/*`, mode: "full" })),
      ],
      "import/resolver": { typescript: { alwaysTryTypes: true } },
    },
    rules: {
      "boundaries/element-types": [
        "error",
        {
          default: "disallow",
          message: "${file.type} must not import ${dependency.type}: see the layers in CONTRIBUTING.md",
          rules: Object.entries(rooms).map(([from, allow]) => ({ from, allow: [from, ...allow] })),
        },
      ],
      "@pulumi/no-output-in-template-literal": "error",
      "@typescript-eslint/consistent-type-imports": "error",
      "@typescript-eslint/no-unused-vars": ["error", { argsIgnorePattern: "^_" }],
    },
  },
  {
    files: ["**/*.mjs", "**/*.js"],
    extends: [tseslint.configs.disableTypeChecked],
  },
);
