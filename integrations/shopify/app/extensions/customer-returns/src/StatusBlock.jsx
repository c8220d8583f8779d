// The order status page: how the returns of this order stand, and a new one. Whoever opened it by a link from an e-mail
// is not signed in, and is asked to before anything is shown.
import "@shopify/ui-extensions/preact";
import { render } from "preact";
import { useEffect, useState } from "preact/hooks";
import { Flow, NEW } from "./flow.jsx";
import { Return } from "./made.jsx";
import { ask } from "./server.js";
import { t } from "./words.js";

export default async () => {
  render(<Block />, document.body);
};

function Block() {
  const known = shopify.authenticationState.value === "fully_authenticated";
  const order = shopify.order.value?.id;
  const [returns, setReturns] = useState(/** @type {import("./made.jsx").Known[]} */ ([]));
  // The return that is looked at, NEW for one that is begun, or nothing.
  const [open, setOpen] = useState("");
  useEffect(() => {
    if (!known || !order || open) return;
    // What stands here is a courtesy: without an answer the button is still there, and says what is wrong.
    ask(`/order?id=${encodeURIComponent(order)}`)
      .then(({ id }) => ask(`/orders/${id}`))
      .then((found) => setReturns(found.returns))
      .catch(() => {});
  }, [known, order, open]);
  if (!order) return null;
  return (
    <s-section heading={t("block")}>
      <s-stack gap="base">
        {open ? (
          <Flow order={order} Frame={Inline} first={open} leave={() => setOpen("")} />
        ) : (
          <s-stack gap="base">
            {returns.map((one) => (
              <Return key={one.id} one={one} look={setOpen} />
            ))}
            <s-button onClick={() => (known ? setOpen(NEW) : shopify.requireLogin())}>{known ? t("title") : t("sign_in")}</s-button>
          </s-stack>
        )}
      </s-stack>
    </s-section>
  );
}

/** @param {import("./flow.jsx").Framed} props */
function Inline({ children, primary, secondary }) {
  return (
    <s-stack gap="base">
      {children}
      <s-stack direction="inline" gap="base">
        {primary && (
          <s-button variant="primary" loading={primary.busy} onClick={primary.act}>
            {primary.words}
          </s-button>
        )}
        {secondary && <s-button onClick={secondary.act}>{secondary.words}</s-button>}
      </s-stack>
    </s-stack>
  );
}
