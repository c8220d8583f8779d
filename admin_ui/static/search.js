// Searching conversations: the key that leads there from anywhere, and the message that a result leads to.

{
  const base = document.body.dataset.base;

  async function openSearch() {
    if (!document.querySelector("#find")) {
      await htmx.ajax("GET", `${base}/inbox`, { target: "#page", swap: "innerHTML", push: "true" });
    }
    const field = document.querySelector("#find");
    field?.focus();
    field?.select();
  }

  document.addEventListener("keydown", (event) => {
    // The key's place, not its letter: k is k on an Arabic and a Hebrew keyboard too.
    if (!(event.ctrlKey || event.metaKey) || event.altKey || event.shiftKey || event.code !== "KeyK") return;
    if (document.querySelector("dialog[open]")) return;
    event.preventDefault();
    openSearch();
  });

  // Asked for once a thread: later visits of this event belong to what changes in it.
  function showFound() {
    const thread = document.querySelector("#thread[data-found]:not([data-shown])");
    if (!thread) return;
    thread.dataset.shown = "yes";
    const message = thread.querySelector(`.message[data-position="${thread.dataset.found}"]`);
    if (!message) return;
    message.classList.add("is-found");
    message.scrollIntoView({ block: "center" });
    mark(message, JSON.parse(thread.dataset.marks));
  }

  // Over the text, not in it: what is swapped or typed later is not disturbed.
  function mark(message, words) {
    if (!window.Highlight) return;
    const ranges = [];
    const walker = document.createTreeWalker(message, NodeFilter.SHOW_TEXT);
    for (let node = walker.nextNode(); node; node = walker.nextNode()) {
      for (const word of words) {
        for (let at = node.data.indexOf(word); at >= 0; at = node.data.indexOf(word, at + word.length)) {
          const range = new Range();
          range.setStart(node, at);
          range.setEnd(node, at + word.length);
          ranges.push(range);
        }
      }
    }
    CSS.highlights.set("found", new Highlight(...ranges));
  }

  document.addEventListener("htmx:after:settle", showFound);
  showFound();
}
