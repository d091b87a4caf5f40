// Other tabs of this browser hear at once what one of them has kept or deleted.

const NAME = "akash-gradio.chats";

export class Tabs {
  /** hear: called with what another tab told. */
  constructor(hear) {
    if (!("BroadcastChannel" in globalThis)) return; // the revision still guards each writing
    this.channel = new BroadcastChannel(NAME);
    this.channel.onmessage = ({ data }) => hear(data);
  }

  tell(what) {
    this.channel?.postMessage(what);
  }
}
