// ZeroGPU: huggingface.co, in whose frame a Space is shown, gives each request headers by which it
// bills the visitor's GPU time.

const PARENT = "https://huggingface.co";
const SUPPORTED = "supports-zerogpu-headers";
const WAIT_MS = 2000; // then the request goes without, as an anonymous use of the Space

let isBilled = false;

/** Ask the frame's parent whether it gives headers; the same message is its answer. */
export function announceZeroGpu(zeroGpu) {
  if (!zeroGpu || window.parent === window) return;
  addEventListener("message", ({ origin, data }) => {
    if (origin === PARENT && data === SUPPORTED) isBilled = true;
  });
  window.parent.postMessage(SUPPORTED, PARENT);
}

/** Resolve with the headers for one request, none outside of a ZeroGPU Space's frame. */
export function quotaHeaders() {
  if (!isBilled) return Promise.resolve({});
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    const finish = (headers) => {
      clearTimeout(timer);
      port1.close();
      resolve(headers);
    };
    const timer = setTimeout(() => finish({}), WAIT_MS);
    port1.onmessage = ({ data }) => finish(data && typeof data === "object" ? data : {});
    window.parent.postMessage("zerogpu-headers", PARENT, [port2]);
  });
}
