// Prints, as JSON, what Akash's own SDK says of each SDL file named: the errors, and whether a
// manifest could be made.
import { readFileSync } from "node:fs";
import { generateManifest, validateSDL, yaml } from "@akashnetwork/chain-sdk";

const told = {};
for (const path of process.argv.slice(2)) {
  const sdl = yaml([readFileSync(path, "utf8")]);
  const errors = validateSDL(sdl) ?? [];
  told[path] = { errors, made: !errors.length && generateManifest(sdl).ok };
}
console.log(JSON.stringify(told));
