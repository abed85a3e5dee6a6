// Who is meant by "@" and a name. People have no alias that the mesh would find in a text, so the page says who they are.

const MOST = 32;
const WORD = /[\p{L}\p{N}_]/u;
const BEFORE = /[\p{L}\p{N}_.@-]/u;

// Ids of the people that a text names, of these: by the whole name, or by its first word where nobody else's begins so.
export function mentioned(text, people) {
  const names = namesOf(people);
  const found = new Set();
  for (let at = text.indexOf("@"); at >= 0; at = text.indexOf("@", at + 1)) {
    if (BEFORE.test(text[at - 1] ?? "")) continue;
    const rest = text.slice(at + 1).toLowerCase();
    const name = names.find(([each]) => rest.startsWith(each) && !WORD.test(rest[each.length] ?? ""));
    for (const id of name?.[1] ?? []) found.add(id);
  }
  return [...found].slice(0, MOST);
}

// Names with the ids of those who bear them, the longest first.
function namesOf(people) {
  const whole = new Map();
  const first = new Map();
  for (const { id, name } of people) {
    const written = name.trim().toLowerCase();
    if (!written) continue;
    whole.set(written, [...(whole.get(written) ?? []), id]);
    const word = written.split(/\s/, 1)[0];
    first.set(word, first.has(word) ? [] : [id]);
  }
  return [...new Map([...first, ...whole])].sort(([a], [b]) => b.length - a.length);
}
