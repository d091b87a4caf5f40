// Plans which part of a chat fits a model's context. Independent of the page. Uses the same rule as the
// server's estimate (gateway/receipts.py): 4 bytes of UTF-8 per token, 4 tokens per message.

const BYTES_PER_TOKEN = 4;
const TOKENS_PER_MESSAGE = 4;
const PATCH_PIXELS = 28; // one token per patch, as vision models of the Qwen family count
const ROOM_TOKENS = 1024;
const PRIOR_TOKENS = 200; // weight of a ratio of 1 before any report
const FADE = 0.8; // factor for older reports, applied at each new one

const encoder = new TextEncoder();

/** Estimate the tokens of a text; at least one for any text. */
export function tokensOf(text) {
  return text ? Math.max(1, Math.round(encoder.encode(text).length / BYTES_PER_TOKEN)) : 0;
}

/** Estimate the tokens of an attached file or picture. */
export function attachmentTokens({ kind, name, text, width, height }) {
  if (kind !== "picture") return tokensOf(text) + tokensOf(name) + TOKENS_PER_MESSAGE;
  return Math.ceil(width / PATCH_PIXELS) * Math.ceil(height / PATCH_PIXELS);
}

const counted = new WeakMap(); // turn or version → [its text, its tokens], so that a long chat is counted once

function contentTokens(content) {
  const known = counted.get(content);
  if (known?.[0] === content.text) return known[1];
  const tokens = tokensOf(content.text);
  counted.set(content, [content.text, tokens]);
  return tokens;
}

/** Estimate the tokens of one turn with its files. sees: whether its pictures are sent. */
export function turnTokens(turn, sees = true) {
  if (turn.role !== "user") return contentTokens(turn.versions[turn.shown]) + TOKENS_PER_MESSAGE;
  const sent = (turn.attachments ?? []).filter(({ kind }) => sees || kind !== "picture");
  const files = sent.reduce((sum, file) => sum + attachmentTokens(file), 0);
  return contentTokens(turn) + files + TOKENS_PER_MESSAGE;
}

export const systemTokens = (text) => (text ? tokensOf(text) + TOKENS_PER_MESSAGE : 0);

/** Return the tokens reserved for the answer: the visitor's limit, else a quarter of the context at most. */
export function answerReserve(limit, maxTokens) {
  return Math.min(limit, maxTokens ?? Math.min(ROOM_TOKENS, Math.floor(limit / 4)));
}

/**
 * Decide which turns are sent to the model. All counts are tokens, scaled by the model's ratio.
 *
 * @param {object} options
 *   limit: the model's context (tokenLimit × contextWindowMultiplier), 0 if unknown: then all is sent.
 *   history: the turns before the message.
 *   message: estimated tokens of the message. It is never left out, nor is the system prompt.
 *   whole: leave nothing out.
 *   sees: whether the model gets the pictures of the history.
 * @returns {object} `from` is the first turn that is sent, always a user turn: chat templates require it.
 */
export function planContext({ limit, ratio = 1, system = 0, history = [], message = 0, room = 0, whole = false, sees = true }) {
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
    total: fixed + all, used, over: Boolean(limit) && used > limit,
  };
}

/** Add a report to a model's sums of reported and estimated tokens; older reports fade. */
export function addReport(before, estimated, reported) {
  if (!(estimated > 0 && reported > 0)) return before;
  const { reported: r = 0, estimated: e = 0 } = before ?? {};
  return { reported: r * FADE + reported, estimated: e * FADE + estimated };
}

/** Return the factor for this model's estimates; 1 before any report. */
export function ratioOf(sums) {
  if (!sums) return 1;
  const ratio = (PRIOR_TOKENS + sums.reported) / (PRIOR_TOKENS + sums.estimated);
  return Math.min(5, Math.max(0.2, ratio));
}
