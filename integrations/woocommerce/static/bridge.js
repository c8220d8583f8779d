// The panel inside wp-admin: asks the page around it for a token, for the first document and then for every request.
// On the frame's first page it enters the panel; on the panel's own pages it signs what is fetched.
(() => {
  const { origins, enter, here } = document.currentScript.dataset;
  const around = origins.split(" ").filter((known) => !location.ancestorOrigins || location.ancestorOrigins[0] === known);
  const FRESH = 40_000; // A token lives for a minute (docs/woocommerce-plugin-protocol.md).
  let waiting = [];
  let kept = null;

  const tell = (message) => {
    // One of them is around us: to the others the browser delivers nothing.
    for (const known of around) window.parent.postMessage(message, known);
  };

  window.addEventListener("message", ({ source, origin, data }) => {
    if (source !== window.parent || !around.includes(origin) || !data) return;
    if (data.type === "ahlan:there") return tell({ type: "ahlan:ready" });
    if (data.type !== "ahlan:token") return;
    kept = data.token ? { token: data.token, at: Date.now() } : null;
    for (const answer of waiting) answer(data.token || null);
    waiting = [];
  });

  const token = (anew) => {
    if (!anew && kept && Date.now() - kept.at < FRESH) return Promise.resolve(kept.token);
    return new Promise((resolve) => {
      waiting.push(resolve);
      if (waiting.length === 1) tell({ type: "ahlan:token" });
      setTimeout(() => {
        waiting = waiting.filter((answer) => answer !== resolve);
        resolve(null);
      }, 15_000);
    });
  };

  const go = async (to, anew) => {
    const given = await token(anew);
    if (!given) return false;
    const form = document.createElement("form");
    form.method = "post";
    form.action = enter;
    for (const [name, value] of Object.entries({ token: given, to })) {
      const field = document.createElement("input");
      field.type = "hidden";
      field.name = name;
      field.value = value;
      form.append(field);
    }
    document.documentElement.append(form);
    form.submit();
    return true;
  };

  if (window.parent === window) return;

  if (!here) {
    // The first page. Whoever came back to it wants to leave, not to enter once more.
    const [navigation] = performance.getEntriesByType("navigation");
    if (navigation?.type === "back_forward") history.back();
    addEventListener("DOMContentLoaded", async () => {
      const { to } = document.body.dataset;
      tell({ type: "ahlan:ready" });
      // Without a place to go it only says that the token was refused.
      if (to === undefined || (await go(to))) return;
      for (const text of document.querySelectorAll("[data-when]")) text.hidden = text.dataset.when !== "refused";
    });
    return;
  }

  // The panel came as the answer to a form: this is its real address.
  history.replaceState(history.state, "", here);
  tell({ type: "ahlan:ready" });

  const plain = window.fetch.bind(window);
  window.fetch = async (input, init) => {
    const address = new URL(input instanceof Request ? input.url : input, location.href);
    if (address.origin !== location.origin) return plain(input, init);
    const signed = async (anew) => {
      const request = new Request(input instanceof Request ? input.clone() : input, init);
      const given = await token(anew);
      if (given) request.headers.set("Authorization", `Bearer ${given}`);
      return plain(request);
    };
    const answer = await signed(false);
    return answer.headers.has("x-shopify-retry-invalid-session-request") ? signed(true) : answer;
  };

  // A whole new document, in another language: it is entered like the first.
  document.addEventListener(
    "ahlan:renew",
    (event) => {
      event.stopImmediatePropagation();
      const wanted = event.detail.value || event.detail;
      go(new URL(wanted, location.href).pathname.replace(/^\/woocommerce\/?/, ""), true);
    },
    true,
  );
})();
