// The window that the order's button opens.
import "@shopify/ui-extensions/preact";
import { render } from "preact";
import { Flow } from "./flow.jsx";
import { t } from "./words.js";

export default async () => {
  render(<Flow order={shopify.orderId} Frame={Window} leave={() => shopify.close()} />, document.body);
};

/** @param {import("./flow.jsx").Framed} props */
function Window({ children, primary, secondary }) {
  return (
    <s-customer-account-action heading={t("title")}>
      <s-stack gap="base">{children}</s-stack>
      {primary && (
        <s-button slot="primary-action" variant="primary" loading={primary.busy} onClick={primary.act}>
          {primary.words}
        </s-button>
      )}
      {secondary && (
        <s-button slot="secondary-actions" onClick={secondary.act}>
          {secondary.words}
        </s-button>
      )}
    </s-customer-account-action>
  );
}
