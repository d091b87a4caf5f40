// Durations, speeds and counts as text, as akash_gradio/formatting.py writes them.

/** 1234 → "1,234". */
export function formatCount(count) {
  return count.toLocaleString("en-US");
}

/** A measured time with three significant digits: 0.414 → "0.41 s". */
export function formatSeconds(seconds) {
  return `${withDigits(seconds, seconds < 9.995 ? 2 : seconds < 99.95 ? 1 : 0)} s`;
}

/** Tokens per second: 87.4 → "87 tok/s", "≈ 87 tok/s" if estimated. */
export function formatSpeed(tokensPerS, { estimated = false } = {}) {
  return `${estimated ? "≈ " : ""}${withDigits(tokensPerS, tokensPerS < 9.95 ? 1 : 0)} tok/s`;
}

/** A number of tokens: 1234 → "1,234 tok", "≈ 1,234 tok" if estimated. */
export function formatTokens(count, { estimated = false } = {}) {
  return `${estimated ? "≈ " : ""}${formatCount(count)} tok`;
}

/** A number of tokens in use, in thousands: 4600 → "4.6K". */
export function formatShortCount(count) {
  if (count < 1000) return String(count);
  if (count < 1_000_000) return `${+(count / 1000).toFixed(count < 10_000 ? 1 : 0)}K`;
  return `${+(count / 1_000_000).toFixed(1)}M`;
}

/** A context length as models are advertised: 131072 and 128000 → "128K". */
export function formatContextLength(tokens) {
  const thousand = tokens % 1024 === 0 && tokens % 1000 ? 1024 : 1000;
  if (tokens < thousand) return String(tokens);
  if (tokens < thousand ** 2) return `${Math.round(tokens / thousand)}K`;
  return `${(tokens / thousand ** 2).toFixed(1).replace(/\.0$/, "")}M`;
}

/** A size in MB, without the unit: 1550000 → "1.6". */
export function formatMegabytes(bytes) {
  return (bytes / 1e6).toFixed(1);
}

function withDigits(value, digits) {
  return value.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });
}
