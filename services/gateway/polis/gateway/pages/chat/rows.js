// What stands in the log, line by line: days, what happened, messages, what is being said, and what is on its way.

import { listed } from "./people.js";
import { day, dayKey, full } from "./times.js";

const TOGETHER_MS = 5 * 60_000;

// Plain values only, so that a row is drawn anew when one of them differs.
// fresh: what was new when the conversation was opened lies behind `after`, up to `until`.
export function rows(room, pending, people, fresh) {
  const found = [];
  let before = null;
  let [dayBefore, marked] = ["", fresh === null];
  const last = lastOfMine(room);
  for (const { seq, message, notice } of room.window.items) {
    const moment = message?.sent_at ?? notice.at;
    if (dayKey(moment) !== dayBefore) {
      dayBefore = dayKey(moment);
      found.push({ key: `day/${dayBefore}`, kind: "day", text: day(moment) });
      before = null;
    }
    if (!marked && seq > fresh.after && seq <= fresh.until && message && message.sender_id !== room.me) {
      marked = true;
      found.push({ key: "new", kind: "new", text: "New" });
      before = null;
    }
    if (notice) {
      found.push({ key: `notice/${seq}`, kind: "notice", text: happened(notice, people) });
      before = null;
      continue;
    }
    found.push(ofMessage(room, message, { before, people, last }));
    before = message;
  }
  for (const stream of room.streams.values()) found.push(ofStream(room, stream, people));
  for (const item of pending) found.push({ key: `out/${item.client_id}`, kind: "pending", item, client: item.client_id });
  return found;
}

function ofMessage(room, message, { before, people, last }) {
  const { seq, sender_id: sender } = message;
  const replied = answered(message);
  const quoted = replied ? room.window.message(replied) : null;
  return {
    key: `message/${seq}`,
    kind: "message",
    seq,
    message,
    name: people.name(sender),
    mine: sender === room.me,
    agent: people.of(sender).kind === "agent",
    compact: before?.sender_id === sender && !replied && Date.parse(message.sent_at) - Date.parse(before.sent_at) < TOGETHER_MS,
    replied,
    quoted,
    quotedName: quoted ? people.name(quoted.sender_id) : "",
    reacted: message.reactions.map(({ principal_ids: ids }) => listed(ids.map((id) => people.name(id)), 8)).join(" | "),
    seen: seq === last ? seen(room, seq, people) : "",
  };
}

// What a message answers: the one that it names, or that it stands below.
const answered = ({ reply_to: replied, thread }) => replied ?? thread;

function ofStream(room, stream, people) {
  const { producer_id: producer } = stream;
  return { key: `stream/${stream.stream_id}`, kind: "stream", stream, name: people.name(producer), controls: room.speaks };
}

function lastOfMine({ window, me }) {
  return window.newer ? 0 : (window.items.findLast(({ message }) => message?.sender_id === me)?.seq ?? 0);
}

function seen(room, seq, people) {
  const readers = room.readers(seq);
  if (readers.length) return room.conversation.kind === "direct" ? "Read" : `Read by ${listed(readers.map((id) => people.name(id)))}`;
  const delivered = [...room.marks.values()].some((mark) => mark.delivered_seq >= seq && mark.principal_id !== room.me);
  return delivered ? "Delivered" : "Sent";
}

const BECAME = { joined: "takes part", left: "left", removed: "was removed", banned: "was banned", invited: "was invited" };

const CONTROLS = {
  pause: "paused the answer",
  resume: "let the answer go on",
  preempt: "stopped the answer",
  cancel: "cancelled the answer and what was working on it",
  priority: "changed how urgent the answer is",
  route: "gave the conversation to somebody else",
  handoff: "asked somebody to take over",
};
const HANDOFFS = {
  waiting: "asked for somebody to take over",
  claimed: "took over",
  returned: "gave the conversation back",
  declined: "declined to take over",
  expired: "Nobody took over in time",
  cancelled: "asks for nobody to take over any more",
  passed: "passed the conversation on",
};

// What is told beside messages.
function happened({ kind, actor_id: actor, participant, conversation, handoff, control }, people) {
  const name = people.name(actor);
  if (kind === "participant") return tookPart(participant, actor, people);
  if (kind === "control") return `${name} ${CONTROLS[control.control.kind]}`;
  if (kind === "handoff") return handoff.state === "expired" ? HANDOFFS.expired : `${name} ${HANDOFFS[handoff.state]}${handoff.state === "waiting" ? `: ${handoff.reason}` : ""}`;
  if (kind === "responsible") return `${people.name(conversation.responsible_id)} ${conversation.responsible_id === people.me ? "answer" : "answers"} for this conversation`;
  if (conversation.archived_at) return `${name} archived the conversation`;
  return `${name} changed the conversation${conversation.name ? `: ${conversation.name}` : ""}`;
}

function tookPart({ principal_id: id, role, state, by_id: by, muted_until: muted }, actor, people) {
  if (state === "joined" && Date.parse(muted) > Date.now()) return `${people.name(actor)} muted ${people.of(id).name} until ${full(muted)}`;
  const became = state === "joined" && role !== "member" ? `takes part as ${role}` : BECAME[state];
  const whose = by === id || actor === id ? "" : ` (by ${people.of(by).name})`;
  return `${people.of(id).name} ${became}${whose}`;
}
