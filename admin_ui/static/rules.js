// The editor of rules: rows that go, and the line that belongs to rules of time. New rows come from the server.

document.addEventListener("click", (event) => {
  const button = event.target.closest?.("[data-unrow]");
  if (!button) return;
  const row = button.closest(".rule-row");
  const next = row.nextElementSibling || row.parentElement.parentElement.querySelector("[data-add-row]");
  row.remove();
  (next?.matches("button") ? next : next?.querySelector("select"))?.focus();
});
