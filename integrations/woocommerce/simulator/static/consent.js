// The cookie banner of a plugin, and what the WP Consent API says of it (https://wordpress.org/plugins/wp-consent-api/):
// nothing may be followed before somebody agreed.
(() => {
  const words = {
    ar: ["هل تسمحون للمتجر بمعرفة الصفحات التي تزورونها؟", "نعم", "لا"],
    he: ["אפשר לחנות לדעת באילו דפים ביקרתם?", "כן", "לא"],
    en: ["May the shop know which of its pages you visit?", "Yes", "No"],
  };
  const said = () => /\bwp_consent_statistics=(yes|no)/.exec(document.cookie)?.[1];
  window.wp_has_consent = (purpose) => (purpose === "statistics" ? said() === "yes" : said() !== "no");
  addEventListener("DOMContentLoaded", () => {
    if (said()) return;
    const [question, yes, no] = words[document.documentElement.lang] || words.en;
    const banner = Object.assign(document.createElement("aside"), { className: "privacy" });
    banner.append(Object.assign(document.createElement("p"), { textContent: question }));
    for (const [text, answer] of [[yes, "yes"], [no, "no"]]) {
      const button = Object.assign(document.createElement("button"), { type: "button", textContent: text });
      button.onclick = () => {
        document.cookie = `wp_consent_statistics=${answer}; path=/; max-age=31536000; samesite=lax`;
        banner.remove();
        document.dispatchEvent(new CustomEvent("wp_listen_for_consent_change"));
      };
      banner.append(button);
    }
    document.body.prepend(banner);
  });
})();
