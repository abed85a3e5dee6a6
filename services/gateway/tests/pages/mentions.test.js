import assert from "node:assert/strict";
import { test } from "node:test";

import { mentioned } from "../../polis/gateway/pages/chat/mentions.js";

const people = [
  { id: 1, name: "Tom" },
  { id: 2, name: "Tom Baker" },
  { id: 3, name: "Åsa Öst" },
  { id: 4, name: "Eve A" },
  { id: 5, name: "Eve B" },
  { id: 6, name: "" },
];

test("who is named is meant, and nobody whose name only looks like it", () => {
  const meant = {
    "@Tom and @tom baker!": [1, 2],
    "ask @åsa": [3],
    "(@Tom)": [1],
    "@Tomas, tom@tom.example, @@Tom, @": [],
    "@Eve": [],
    "@Eve B, @eve b": [5],
  };

  for (const [text, ids] of Object.entries(meant)) assert.deepEqual(mentioned(text, people), ids, text);
});
