// The button on an order, in the list and on its page: it opens ReturnAction.jsx.
import "@shopify/ui-extensions/preact";
import { render } from "preact";
import { t } from "./words.js";

export default async () => {
  render(<s-button>{t("title")}</s-button>, document.body);
};
