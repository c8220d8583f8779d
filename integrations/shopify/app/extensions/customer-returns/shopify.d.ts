import "@shopify/ui-extensions";

// What Shopify puts into each file's world; the shared ones are loaded by all three.
declare module "./src/MenuItem.jsx" {
  const shopify: import("@shopify/ui-extensions/customer-account.order.action.menu-item.render").Api;
  const globalThis: { shopify: typeof shopify };
}
declare module "./src/ReturnAction.jsx" {
  const shopify: import("@shopify/ui-extensions/customer-account.order.action.render").Api;
  const globalThis: { shopify: typeof shopify };
}
declare module "./src/StatusBlock.jsx" {
  const shopify: import("@shopify/ui-extensions/customer-account.order-status.block.render").Api;
  const globalThis: { shopify: typeof shopify };
}
declare module "./src/flow.jsx" {
  const shopify:
    | import("@shopify/ui-extensions/customer-account.order.action.render").Api
    | import("@shopify/ui-extensions/customer-account.order-status.block.render").Api;
  const globalThis: { shopify: typeof shopify };
}
declare module "./src/words.js" {
  const shopify: import("@shopify/ui-extensions/customer-account.order.action.render").Api;
  const globalThis: { shopify: typeof shopify };
}
declare module "./src/server.js" {
  const shopify: import("@shopify/ui-extensions/customer-account.order.action.render").Api;
  const globalThis: { shopify: typeof shopify };
  const process: { env: { APP_URL: string } };
}
