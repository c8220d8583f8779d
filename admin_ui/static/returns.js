// The queue of returns: several are approved at once after a look at what it comes to.

document.addEventListener("click", (event) => {
  const button = event.target.closest?.("[data-many-returns]");
  if (!button) return;
  const chosen = [...document.querySelectorAll("#many-returns [name=id]:checked")].map((box) => `id=${box.value}`);
  if (chosen.length) openAct(`${button.dataset.manyReturns}?${chosen.join("&")}`);
});

document.addEventListener("ahlan:returns", () => act().open && closeAct());
