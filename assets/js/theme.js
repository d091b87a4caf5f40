// Runs before the first paint: the visitor's theme, else the system's; the sidebar hidden or not.
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
        // Storage is closed to this frame: the choice lasts as long as the page.
      }
      show();
    },
  };
  try {
    document.documentElement.dataset.side = localStorage.getItem("akash-gradio.sidebar") || "there";
  } catch {
    // The sidebar is there.
  }
  system.addEventListener("change", show);
  document.addEventListener("DOMContentLoaded", show);
  show();
})();
