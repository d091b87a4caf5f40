// Notifies other tabs of this browser about saved and deleted chats.

const NAME = "akash-gradio.chats";

export class Tabs {
  /** @param {(message: object) => void} onmessage Called with each message of another tab. */
  constructor(onmessage) {
    if (!("BroadcastChannel" in globalThis)) return; // revisions still protect each write
    this.channel = new BroadcastChannel(NAME);
    this.channel.onmessage = ({ data }) => onmessage(data);
  }

  broadcast(message) {
    this.channel?.postMessage(message);
  }
}
