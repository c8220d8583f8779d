// The shop's cookie banner, and what Shopify's Customer Privacy API says of it
// (https://shopify.dev/docs/api/customer-privacy): nothing may be followed before somebody agreed.
(() => {
  const words = {
    ar: ["هل تسمحون للمتجر بمعرفة الصفحات التي تزورونها؟", "نعم", "لا"],
    he: ["אפשר לחנות לדעת באילו דפים ביקרתם?", "כן", "לא"],
    en: ["May the shop know which of its pages you visit?", "Yes", "No"],
  };
  const said = () => /\b_tracking_consent=(yes|no)/.exec(document.cookie)?.[1];
  window.Shopify = {
    customerPrivacy: {
      analyticsProcessingAllowed: () => said() === "yes",
      preferencesProcessingAllowed: () => said() !== "no",
    },
  };
  addEventListener("DOMContentLoaded", () => {
    if (said()) return;
    const [question, yes, no] = words[document.documentElement.lang] || words.en;
    const banner = Object.assign(document.createElement("aside"), { className: "privacy" });
    banner.append(Object.assign(document.createElement("p"), { textContent: question }));
    for (const [text, answer] of [[yes, "yes"], [no, "no"]]) {
      const button = Object.assign(document.createElement("button"), { type: "button", textContent: text });
      button.onclick = () => {
        document.cookie = `_tracking_consent=${answer}; path=/; max-age=31536000; samesite=lax`;
        banner.remove();
        document.dispatchEvent(new CustomEvent("visitorConsentCollected"));
      };
      banner.append(button);
    }
    document.body.prepend(banner);
  });
})();
