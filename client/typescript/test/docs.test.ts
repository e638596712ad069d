/** The programs of the page about this client run as they stand. */

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { promisify } from "node:util";

import { Gate, World } from "./harness.js";

const PACKAGE = new URL("..", import.meta.url);
const PAGE = readFileSync(new URL("../../docs/how-to/typescript-sdk.md", PACKAGE), "utf8");
const QUICKSTART_LINES = 15;

let world: World;
before(async () => {
  world = await World.make();
  // Starts the daemon that the programs find, so that it is ended with the world.
  await world.client();
});
after(() => world.close());

/** The page's programs by name, and what each is shown to print. */
function programs(): Map<string, { text: string; output: string }> {
  const found = new Map<string, { text: string; output: string }>();
  for (const [, name, text] of PAGE.matchAll(/^```javascript file=(\S+)\n(.*?)^```$/gms)) {
    const shown = PAGE.match(new RegExp(`^\`\`\`text output=${name!.replace(".", "\\.")}\\n(.*?)^\`\`\`$`, "ms"));
    found.set(name!, { text: text!, output: shown?.[1] ?? "" });
  }
  return found;
}

for (const [name, { text, output }] of programs()) {
  test(`${name} prints what the page shows`, { timeout: 60_000 }, async () => {
    world.model.on("What is a daemon?", ["A program that runs in the background ", "and serves others."]);
    world.model.on("And shorter?", ["A background program."]);
    world.model.on("How many blue widgets are in stock?", [{ tool: "stock", args: { item: "blue widget" } }], ["There are 42."]);
    world.model.on("Tell me a long story.", ["Once upon a time ", new Gate()]);
    // Inside of the package, so that its own name leads to it.
    const path = join(PACKAGE.pathname, "build", name);
    writeFileSync(path, text.replaceAll("gpt-5.4-mini", "openai/gpt-stand-in"));
    const { stdout } = await promisify(execFile)(process.execPath, [path], { env: process.env });
    assert.equal(stdout, output);
  });
}

test("the quickstart is short", () => {
  const { text } = programs().get("ask.mjs")!;
  assert.ok(text.trim().split("\n").length < QUICKSTART_LINES);
});
