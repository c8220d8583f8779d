// Shopify's theme checker over the theme app extension: prints every offence, exits with 1 if there is one.
// Runs without a network: by itself the checker would first fetch today's rules from Shopify.
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";

const house = dirname(dirname(fileURLToPath(import.meta.url)));
const extension = join(house, process.argv[2] ?? "integrations/shopify/app/extensions/support-widget");
const require = createRequire(import.meta.url);
const checker = createRequire(require.resolve("@shopify/theme-check-node"));
const { ThemeLiquidDocsManager } = checker("@shopify/theme-check-docs-updater");
const data = join(dirname(checker.resolve("@shopify/theme-check-docs-updater")), "../data");

// The checker knows what a theme's own block may say, not an app's; the settings inside are the same.
const words = { type: "string", minLength: 1 };
const places = {
  type: "object",
  additionalProperties: false,
  properties: { templates: { type: "array", items: words }, groups: { type: "array", items: words } },
};
const block = {
  $schema: "http://json-schema.org/draft-07/schema#",
  type: "object",
  additionalProperties: false,
  required: ["name", "target"],
  not: { required: ["enabled_on", "disabled_on"] },
  properties: {
    name: words,
    target: { enum: ["section", "head", "compliance_head", "body"] },
    javascript: words,
    stylesheet: words,
    class: words,
    tag: words,
    available_if: words,
    default: { type: "object" },
    enabled_on: places,
    disabled_on: places,
    settings: { $ref: "./settings.json" },
  },
};

ThemeLiquidDocsManager.prototype.loadResource = async (name) => {
  const held = await readFile(join(data, `${name}.json`), "utf8");
  if (name !== "manifest_theme_app_extension") return held;
  const parts = ["settings", "setting", "default_setting_values"].map((part) => ({ uri: `theme/${part}.json` }));
  const manifest = JSON.parse(held);
  manifest.schemas.push(...parts, { uri: "theme/app_block.json", fileMatch: ["blocks/*.liquid"] });
  return JSON.stringify(manifest);
};
ThemeLiquidDocsManager.prototype.loadSchema = async (uri) => {
  if (uri === "theme/app_block.json") return JSON.stringify(block);
  const held = await readFile(join(data, uri.split("/").pop()), "utf8");
  if (uri !== "theme/setting.json") return held;
  // An app's block may have its product filled in by the page that it stands on; the checker has no word for that.
  // https://shopify.dev/docs/apps/build/online-store/theme-app-extensions/configuration
  const setting = JSON.parse(held);
  setting.definitions.product.properties.autofill = { type: "boolean" };
  return JSON.stringify(setting);
};

const { themeCheckRun } = require("@shopify/theme-check-node");
const { theme, offenses } = await themeCheckRun(extension, "theme-check:theme-app-extension");
for (const { uri, start, check, message } of offenses) {
  console.error(`${relative(house, fileURLToPath(uri))}:${start.line + 1}: ${check}: ${message}`);
}
if (!theme.length) console.error(`${relative(house, extension)}: nothing to check`);
process.exit(offenses.length || !theme.length ? 1 : 0);
