import { saveFragment } from "./url_fragment.js";

saveFragment(location);

// In a frame of another site the provider's page can't be shown, and its cookies don't reach this page.

const link = document.querySelector("#hub");
if (link && window.top !== window.self) {
  link.target = "_blank";
  document.querySelector("#hub-tab").hidden = false;
}
