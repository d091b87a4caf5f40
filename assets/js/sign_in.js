import { layAside } from "./behind_hash.js";

layAside(location);

// In a frame of another site the provider can't be shown, and its cookies don't reach here.

const link = document.querySelector("#hub");
if (link && window.top !== window.self) {
  link.target = "_blank";
  document.querySelector("#hub-tab").hidden = false;
}
