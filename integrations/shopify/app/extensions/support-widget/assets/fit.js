/* Fills the line that the block leaves hidden: text alone, from the shop's own address. */
(() => {
  for (const line of document.querySelectorAll('[data-ahlan-fit]')) {
    const address = line.dataset.ahlanFit;
    delete line.dataset.ahlanFit;
    fetch(address, { headers: { accept: 'application/json' } })
      .then((answer) => (answer.status === 200 ? answer.json() : null))
      .then((said) => {
        if (!said || !said.text) return;
        line.textContent = said.text;
        line.hidden = false;
      })
      .catch(() => {});
  }
})();
