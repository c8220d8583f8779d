// The order status page: how the returns of this order stand, and a new one. Whoever opened it by a link from an e-mail
// is not signed in, and is asked to before anything is shown.
import "@shopify/ui-extensions/preact";
import { render } from "preact";
import { useEffect, useState } from "preact/hooks";
import { Flow } from "./flow.jsx";
import { ask } from "./server.js";
import { apart, t } from "./words.js";

export default async () => {
  render(<Block />, document.body);
};

function Block() {
  const known = shopify.authenticationState.value === "fully_authenticated";
  const order = shopify.order.value?.id;
  const [returns, setReturns] = useState(/** @type {{number: string, state: string}[]} */ ([]));
  const [open, setOpen] = useState(false);
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
        {returns.map(({ number, state }) => (
          <s-text key={number}>{t("made", { number: apart(number), state: t(`state.${state}`) })}</s-text>
        ))}
        {open ? (
          <Flow order={order} Frame={Inline} leave={() => setOpen(false)} />
        ) : (
          <s-button onClick={() => (known ? setOpen(true) : shopify.requireLogin())}>{known ? t("title") : t("sign_in")}</s-button>
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
