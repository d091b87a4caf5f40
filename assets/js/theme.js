// Runs before the first paint: applies the theme, and hides the sidebar if the visitor hid it.
(() => {
  const KEY = "akash-gradio.theme";
  const system = matchMedia("(prefers-color-scheme: dark)");
  const read = () => {
    try {
      return localStorage.getItem(KEY) || "system";
    } catch {
      return "system";
    }
  };
  const show = () => {
    const choice = read();
    const dark = choice === "dark" || (choice === "system" && system.matches);
    document.documentElement.dataset.theme = choice;
    document.documentElement.classList.toggle("dark", dark);
    document.body?.classList.toggle("dark", dark);
    document.dispatchEvent(new CustomEvent("akash-theme", { detail: { choice, dark } }));
  };
  window.akashTheme = {
    get dark() {
      return document.documentElement.classList.contains("dark");
    },
    get choice() {
      return read();
    },
    set(choice) {
      try {
        localStorage.setItem(KEY, choice);
      } catch {
        // No storage in this frame: valid while the page is open.
      }
      show();
    },
  };
  try {
    document.documentElement.dataset.side = localStorage.getItem("akash-gradio.sidebar") || "there";
  } catch {
    // No storage in this frame: the sidebar is visible.
  }
  system.addEventListener("change", show);
  document.addEventListener("DOMContentLoaded", show);
  show();
})();
