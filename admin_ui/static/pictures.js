// A product's picture lies on the store's own server: where it does not come, a sign stands in its place.

function withoutPicture(image) {
  if (image.alt || !image.closest("main, dialog") || image.closest("[data-file]")) return;
  image.replaceWith(document.getElementById("no-image").content.cloneNode(true));
}

// Errors of pictures do not bubble.
document.addEventListener("error", (event) => event.target instanceof HTMLImageElement && withoutPicture(event.target), true);
// Those that failed before this script ran.
for (const image of document.images) if (image.complete && image.currentSrc && !image.naturalWidth) withoutPicture(image);
