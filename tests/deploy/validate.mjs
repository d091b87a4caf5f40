// Prints, as JSON, the errors that Akash's SDK finds in each SDL file, and whether it can make a
// manifest of it.
import { readFileSync } from "node:fs";
import { generateManifest, validateSDL, yaml } from "@akashnetwork/chain-sdk";

const results = {};
for (const path of process.argv.slice(2)) {
  const sdl = yaml([readFileSync(path, "utf8")]);
  const errors = validateSDL(sdl) ?? [];
  results[path] = { errors, valid: !errors.length && generateManifest(sdl).ok };
}
console.log(JSON.stringify(results));
