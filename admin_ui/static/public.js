// The sign-up form carries the browser's time zone, so that nobody has to look theirs up in a list.
for (const field of document.querySelectorAll("[data-timezone]")) {
  field.value = Intl.DateTimeFormat().resolvedOptions().timeZone || "";
}
