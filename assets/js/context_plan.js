// What of a chat fits a model's context: pure arithmetic, no page in it. The same rule as the
// server's own estimate (gateway/receipts.py): 4 bytes of UTF-8 a token, 4 tokens a message.

const BYTES_PER_TOKEN = 4;
const TOKENS_PER_MESSAGE = 4;
const PATCH_PIXELS = 28; // one token a patch, as vision models of the Qwen family count
const ROOM_TOKENS = 1024;
const PRIOR_TOKENS = 200; // so many tokens at a ratio of 1 are believed before any report
const FADE = 0.8; // of what was reported before, at each new report

const encoder = new TextEncoder();

/** Estimated tokens of a text, at least one for any text. */
export function tokensOf(text) {
  return text ? Math.max(1, Math.round(encoder.encode(text).length / BYTES_PER_TOKEN)) : 0;
}

/** Estimated tokens of a file or picture that belongs to a message. */
export function attachmentTokens({ kind, name, text, width, height }) {
  if (kind !== "picture") return tokensOf(text) + tokensOf(name) + TOKENS_PER_MESSAGE;
  return Math.ceil(width / PATCH_PIXELS) * Math.ceil(height / PATCH_PIXELS);
}

const counted = new WeakMap(); // what was said → [its text, its tokens]: a long chat is counted once

function saidTokens(said) {
  const known = counted.get(said);
  if (known?.[0] === said.text) return known[1];
  const tokens = tokensOf(said.text);
  counted.set(said, [said.text, tokens]);
  return tokens;
}

/** Estimated tokens of one turn, with all that belongs to it. sees: whether its pictures go too. */
export function turnTokens(turn, sees = true) {
  if (turn.role !== "user") return saidTokens(turn.versions[turn.shown]) + TOKENS_PER_MESSAGE;
  const sent = (turn.attachments ?? []).filter(({ kind }) => sees || kind !== "picture");
  const files = sent.reduce((sum, file) => sum + attachmentTokens(file), 0);
  return saidTokens(turn) + files + TOKENS_PER_MESSAGE;
}

export const systemTokens = (text) => (text ? tokensOf(text) + TOKENS_PER_MESSAGE : 0);

/** Tokens kept free for the answer: what the visitor allows it, else a quarter of the context at most. */
export function roomFor(limit, maxTokens) {
  return Math.min(limit, maxTokens ?? Math.min(ROOM_TOKENS, Math.floor(limit / 4)));
}

/**
 * Which turns go to the model. All counts are tokens, by the model's own ratio.
 *
 * limit: tokenLimit × contextWindowMultiplier, 0 when unknown: then all goes. history: the turns
 * before the message. message: estimated tokens of what is to be sent now, never left out, as the
 * system prompt. whole: leave nothing out, whatever it costs. sees: whether the model gets pictures
 * of the history.
 * Returns `from`, the first turn that goes: always one of the visitor's, since chat templates ask it.
 */
export function plan({ limit, ratio = 1, system = 0, history = [], message = 0, room = 0, whole = false, sees = true }) {
  const scaled = (tokens) => Math.round(tokens * ratio);
  const costs = history.map((turn) => scaled(turnTokens(turn, sees)));
  const fixed = scaled(system) + scaled(message) + room;
  let sum = costs.reduce((all, tokens) => all + tokens, 0);
  const all = sum;
  let from = 0;
  const tooMuch = () => fixed + sum > limit || (from > 0 && history[from].role !== "user");
  while (limit && !whole && from < history.length && tooMuch()) sum -= costs[from++];
  const used = fixed + sum;
  return {
    limit, system: scaled(system), history: sum, message: scaled(message), room, from,
    wanted: fixed + all, used, over: Boolean(limit) && used > limit,
  };
}

/** What a model's counts teach: sums of reported and estimated tokens, the old ones fading. */
export function learned(before, estimated, reported) {
  if (!(estimated > 0 && reported > 0)) return before;
  const { reported: r = 0, estimated: e = 0 } = before ?? {};
  return { reported: r * FADE + reported, estimated: e * FADE + estimated };
}

/** By what the estimate is multiplied for this model; 1 before it has learned anything. */
export function ratioOf(sums) {
  if (!sums) return 1;
  const ratio = (PRIOR_TOKENS + sums.reported) / (PRIOR_TOKENS + sums.estimated);
  return Math.min(5, Math.max(0.2, ratio));
}
