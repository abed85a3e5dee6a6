import { refused } from "./lost.js";
import { Problem } from "./problem.js";

// The frames of a topic on the socket that all topics of a client share.
export async function* socket(link, topic, wanted, signal) {
  for await (const frame of link.wires.forTopic(topic).frames(topic, wanted, signal)) {
    if (frame.op === "problem") throw refused(new Problem(frame.problem));
    yield frame;
    if (frame.op === "end") return;
  }
}
