// What several steps draw with.
import { money } from "./words.js";

/** @typedef {{amount: number, currency: string, exponent: number}} Amount in minor units */

/** @param {{line: {title: string, variant: string, picture: string}, children: import("preact").ComponentChildren}} props */
export function Goods({ line, children }) {
  return (
    <s-stack direction="inline" gap="base" alignItems="start">
      {line.picture && <s-product-thumbnail src={line.picture} alt="" />}
      <s-stack gap="small-200">
        <s-text type="strong">{line.title}</s-text>
        {line.variant && <s-text color="subdued">{line.variant}</s-text>}
        {children}
      </s-stack>
    </s-stack>
  );
}

/** @param {{words: string, strong?: boolean, children: import("preact").ComponentChildren}} props */
export function Row({ words, strong = false, children }) {
  return (
    <s-stack direction="inline" gap="base" justifyContent="space-between">
      <s-text type={strong ? "strong" : "generic"}>{words}</s-text>
      <s-text type={strong ? "strong" : "generic"}>{children}</s-text>
    </s-stack>
  );
}

/** @param {{words: string, amount?: Amount | null, minus?: boolean, strong?: boolean}} props */
export function Sum({ words, amount, minus = false, strong = false }) {
  if (!amount) return null;
  return (
    <Row words={words} strong={strong}>
      {money(minus ? { ...amount, amount: -amount.amount } : amount)}
    </Row>
  );
}
