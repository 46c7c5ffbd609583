import reactHooks from "eslint-plugin-react-hooks";
import tseslint from "typescript-eslint";

export default tseslint.config(
  { ignores: ["node_modules", "src/api/schema.ts"] },
  ...tseslint.configs.strict,
  reactHooks.configs.flat.recommended,
  {
    files: ["src/**/*.{ts,tsx}"],
    rules: { "@typescript-eslint/no-non-null-assertion": "error", eqeqeq: "error", "no-console": "error" },
  },
  {
    // The domain is plain TypeScript: no framework, no browser, so that it can be tested by itself.
    files: ["src/domain/**/*.ts"],
    rules: { "no-restricted-imports": ["error", { patterns: ["react*", "@tanstack/*", "../features/*", "../shared/*"] }] },
  },
);
