// Before anything is painted: the colours a person chose. Later: the drawer, and their switch.
const root = document.documentElement;
const chosen = localStorage.getItem("colours");
if (chosen) root.dataset.colours = chosen;

function drawer(open) {
  root.toggleAttribute("data-drawer", open);
  for (const button of document.querySelectorAll("[data-drawer-button]")) button.ariaExpanded = String(open);
}

document.addEventListener("click", (event) => {
  if (event.target.closest("[data-colours-button]")) {
    const dark = matchMedia("(prefers-color-scheme: dark)").matches;
    const now = root.dataset.colours ?? (dark ? "dark" : "light");
    root.dataset.colours = now === "dark" ? "light" : "dark";
    localStorage.setItem("colours", root.dataset.colours);
  } else if (event.target.closest("[data-drawer-button]")) {
    drawer(!root.hasAttribute("data-drawer"));
  } else if (!event.target.closest(".rail") || event.target.closest(".rail a")) {
    drawer(false);
  }
  const hint = event.target.closest("[data-hide]");
  if (hint) {
    localStorage.setItem(`hidden:${hint.dataset.hide}`, "yes");
    root.dataset.hidden = [...Object.keys(localStorage)].join(" ");
  }
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") drawer(false);
});
root.dataset.hidden = Object.keys(localStorage).join(" ");
