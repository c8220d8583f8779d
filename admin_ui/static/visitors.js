// What was written in the dialog is a conversation now, and the page behind it shows that one.
document.addEventListener("ahlan:went", () => closeAct());
