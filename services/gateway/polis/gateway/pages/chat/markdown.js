// Markdown (the parts of CommonMark that chats use, and tables) as a tree, and the tree as elements. The text of others is never
// read as HTML, images are links, and links lead to the web or to mail alone. Time grows with the length of the text, whatever it is.

const MOST_NESTED = 8;
const FENCE = /^ {0,3}(`{3,}|~{3,})/;
const HEADING = /^ {0,3}(#{1,6})(?:[ \t]|$)/;
const RULE = /^ {0,3}([-*_])(?:[ \t]*\1){2,}[ \t]*$/;
const QUOTE = /^ {0,3}> ?/;
const ITEM = /^( {0,3})([-*+]|\d{1,9}[.)])( {1,4}|$)/;
const DIVIDER = /^ {0,3}\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*$/;

// Blocks: {type: "p" | "h" | "quote" | "ul" | "ol" | "pre" | "hr" | "table", ...}; `content` holds inlines, `blocks` blocks.
export function parse(text) {
  return blocks(text.replace(/\r\n?/g, "\n").split("\n"), 0);
}

function blocks(lines, depth) {
  const found = [];
  let n = 0;
  while (n < lines.length) {
    if (lines[n].trim() === "") {
      n += 1;
      continue;
    }
    const [block, next] = (depth < MOST_NESTED && special(lines, n, depth)) || paragraph(lines, n, depth);
    found.push(block);
    n = next;
  }
  return found;
}

function special(lines, n, depth) {
  const line = lines[n];
  if (FENCE.test(line)) return fenced(lines, n);
  if (HEADING.test(line)) return [heading(line), n + 1];
  if (RULE.test(line)) return [{ type: "hr" }, n + 1];
  if (QUOTE.test(line)) return quoted(lines, n, depth);
  if (ITEM.test(line)) return listed(lines, n, depth);
  return line.includes("|") && DIVIDER.test(lines[n + 1] ?? "") ? table(lines, n) : null;
}

// One that is not closed reaches to the end: it may still be on its way.
function fenced(lines, n) {
  const [, mark] = FENCE.exec(lines[n]);
  const closes = (line) => line.trim().startsWith(mark) && line.trim().replaceAll(mark[0], "") === "";
  let end = n + 1;
  while (end < lines.length && !closes(lines[end])) end += 1;
  return [{ type: "pre", text: lines.slice(n + 1, end).join("\n") }, end + 1];
}

function heading(line) {
  const [start, { length: level }] = HEADING.exec(line);
  const rest = line.slice(start.length).trim();
  let end = rest.length;
  while (rest[end - 1] === "#") end -= 1;
  const closed = end === 0 || rest[end - 1] === " ";
  return { type: "h", level, content: inlines(closed ? rest.slice(0, end).trim() : rest) };
}

function quoted(lines, n, depth) {
  const inner = [];
  while (n < lines.length && QUOTE.test(lines[n])) inner.push(lines[n++].replace(QUOTE, ""));
  return [{ type: "quote", blocks: blocks(inner, depth + 1) }, n];
}

function listed(lines, n, depth) {
  const [, , mark] = ITEM.exec(lines[n]);
  const ordered = /\d/.test(mark);
  const items = [];
  while (n < lines.length) {
    const begun = ITEM.exec(lines[n]);
    if (!begun || /\d/.test(begun[2]) !== ordered || RULE.test(lines[n])) break;
    const [item, next] = itemOf(lines, n, begun);
    items.push(blocks(item, depth + 1));
    n = next;
  }
  return [{ type: ordered ? "ol" : "ul", start: ordered ? Number.parseInt(mark, 10) : 1, items }, n];
}

// The lines of an item without what they are indented by; a blank one belongs to it when an indented one follows.
function itemOf(lines, n, [whole, before, mark]) {
  const width = before.length + mark.length + 1;
  const inner = [lines[n].slice(whole.length)];
  for (n += 1; n < lines.length; n += 1) {
    const indented = lines[n].slice(0, width).trim() === "";
    const follows = lines[n].trim() !== "" || (lines[n + 1] ?? "").search(/\S/) >= width;
    const goesOn = lines[n].trim() !== "" && !ITEM.test(lines[n]) && inner.at(-1).trim() !== "" && !begins(lines[n]);
    if (!(indented && follows) && !goesOn) break;
    inner.push(indented ? lines[n].slice(width) : lines[n].trimStart());
  }
  while (n < lines.length && lines[n].trim() === "" && ITEM.test(lines[n + 1] ?? "")) n += 1;
  return [inner, n];
}

const begins = (line) => FENCE.test(line) || HEADING.test(line) || RULE.test(line) || QUOTE.test(line) || ITEM.test(line);

function table(lines, n) {
  const rows = [cells(lines[n])];
  for (n += 2; n < lines.length && lines[n].includes("|"); n += 1) rows.push(cells(lines[n]));
  return [{ type: "table", head: rows[0], rows: rows.slice(1).map((row) => rows[0].map((_, c) => row[c] ?? [])) }, n];
}

function cells(line) {
  const inner = line.trim().replace(/^\|/, "").replace(/\|$/, "");
  return inner.split("|").map((cell) => inlines(cell.trim()));
}

function paragraph(lines, n, depth) {
  let end = n + 1;
  while (end < lines.length && lines[end].trim() !== "" && !(depth < MOST_NESTED && begins(lines[end]))) end += 1;
  return [{ type: "p", content: inlines(lines.slice(n, end).map((line) => line.trim()).join("\n")) }, end];
}

const WEB = /https?:\/\/[^\s<>"]+/iy;
const ANGLED = /<(https?:\/\/[^\s<>]+|mailto:[^\s<>]+)>/iy;
const MENTION = /@[A-Za-z0-9](?:[A-Za-z0-9-]{0,62}[A-Za-z0-9])?/y;
const TARGET = /\(\s{0,4}<?([^\s()<>]{1,2000}(?:\([^\s()<>]{0,500}\)[^\s()<>]{0,500})?)>?(?:\s{1,4}"[^"\n]{0,500}")?\s{0,4}\)/y;
const MARKS = { "*": ["em", "strong"], _: ["em", "strong"], "~": [null, "del"] };
const PLAIN = /[^\\`*_~[\]!<@\nhH]+/y;

// Inlines: text, or {type: "em" | "strong" | "del" | "code" | "a" | "mention" | "br", ...}.
export function inlines(text) {
  const reader = { text, at: 0, tokens: [], open: [], unclosed: new Set() };
  while (reader.at < text.length) if (!plain(reader) && !READERS.some((read) => read(reader))) taken(reader, 1);
  return emphasised(reader.tokens);
}

function taken(reader, length) {
  reader.tokens.push(reader.text.slice(reader.at, reader.at + length));
  reader.at += length;
}

function matched(reader, pattern) {
  pattern.lastIndex = reader.at;
  return pattern.exec(reader.text);
}

function plain(reader) {
  const found = matched(reader, PLAIN);
  if (found) taken(reader, found[0].length);
  return found !== null;
}

const READERS = [escape, line, code, link, address, mention, mark];

function escape(reader) {
  const next = reader.text[reader.at + 1] ?? "";
  if (reader.text[reader.at] !== "\\" || !/[!-/:-@[-`{-~]/.test(next)) return false;
  reader.tokens.push(next);
  reader.at += 2;
  return true;
}

function line(reader) {
  if (reader.text[reader.at] !== "\n") return false;
  reader.tokens.push({ type: "br" });
  reader.at += 1;
  return true;
}

function code(reader) {
  const run = matched(reader, /`+/y)?.[0];
  if (!run) return false;
  const end = reader.unclosed.has(run.length) ? -1 : closing(reader.text, run, reader.at + run.length);
  if (end < 0) {
    reader.unclosed.add(run.length);
    taken(reader, run.length);
    return true;
  }
  const inner = reader.text.slice(reader.at + run.length, end).replaceAll("\n", " ");
  reader.tokens.push({ type: "code", text: /^ .*[^ ].* $/.test(inner) ? inner.slice(1, -1) : inner });
  reader.at = end + run.length;
  return true;
}

function closing(text, run, from) {
  for (let at = text.indexOf(run, from); at >= 0; ) {
    let end = at;
    while (text[end] === "`") end += 1;
    if (end - at === run.length) return at;
    at = text.indexOf(run, end);
  }
  return -1;
}

// `[words](target)`, and `![words](target)`, which is a link to an image.
function link(reader) {
  const { text, tokens, open } = reader;
  const image = text.startsWith("![", reader.at);
  if (image || text[reader.at] === "[") {
    open.push(tokens.length);
    taken(reader, image ? 2 : 1);
    return true;
  }
  if (text[reader.at] !== "]" || !open.length) return false;
  const begun = open.pop();
  reader.at += 1;
  const target = matched(reader, TARGET);
  const href = target && safe(target[1]);
  if (!href) {
    tokens.push("]");
    return true;
  }
  const content = emphasised(tokens.splice(begun).slice(1));
  tokens.push({ type: "a", href, content: content.length ? content : [href] });
  open.length = 0; // no link stands within another
  reader.at += target[0].length;
  return true;
}

function address(reader) {
  const angled = matched(reader, ANGLED);
  const bare = angled ? null : matched(reader, WEB);
  if (!angled && !bare) return false;
  const shown = angled ? angled[1] : trimmed(bare[0]);
  const href = safe(shown);
  if (!href) return false;
  reader.tokens.push({ type: "a", href, content: [shown] });
  reader.at += angled ? angled[0].length : shown.length;
  return true;
}

// What ends a sentence does not belong to the address that ends it; nor does a bracket that was opened before.
function trimmed(found) {
  const bracketed = found.includes("(");
  let end = found.length;
  for (;;) {
    const last = found[end - 1];
    if (/[.,;:!?'*_~\]]/.test(last) || (last === ")" && !bracketed)) end -= 1;
    else return found.slice(0, end);
  }
}

function safe(href) {
  if (!/^(?:https?:\/\/|mailto:)/i.test(href)) return null;
  try {
    return new URL(href).href;
  } catch {
    return null;
  }
}

function mention(reader) {
  if (reader.text[reader.at] !== "@" || /[\w.@-]/.test(reader.text[reader.at - 1] ?? "")) return false;
  const found = matched(reader, MENTION);
  if (!found) return false;
  reader.tokens.push({ type: "mention", text: found[0] });
  reader.at += found[0].length;
  return true;
}

function mark(reader) {
  const run = matched(reader, /\*+|_+|~+/y)?.[0];
  if (!run) return false;
  const before = reader.text[reader.at - 1] ?? " ";
  const after = reader.text[reader.at + run.length] ?? " ";
  const within = run[0] === "_" && /[\p{L}\p{N}]/u.test(before) && /[\p{L}\p{N}]/u.test(after);
  reader.tokens.push({ mark: run[0], count: run.length, opens: !/\s/.test(after) && !within, closes: !/\s/.test(before) && !within });
  reader.at += run.length;
  return true;
}

// Pairs the marks, each with the nearest before it; what has no other half is text.
function emphasised(tokens) {
  const out = [];
  const open = { "*": [], _: [], "~": [] };
  for (const token of tokens) {
    if (!token.mark) {
      out.push(token);
      continue;
    }
    const left = token.closes ? closed(token, out, open) : token.count;
    if (!left) continue;
    if (token.opens) opened(open[token.mark], { at: out.length, count: left });
    out.push(token.mark.repeat(left));
  }
  return joined(out);
}

// The nearest few are held: so deep, and no deeper, is anything nested.
function opened(openers, opener) {
  if (openers.length >= MOST_NESTED) openers.shift();
  openers.push(opener);
}

function closed({ mark: char, count }, out, open) {
  while (count > 0 && open[char].length) {
    const opener = open[char].at(-1);
    const used = Math.min(2, opener.count, count);
    const type = MARKS[char][used - 1];
    if (!type || opener.at === out.length - 1) break;
    const content = joined(out.splice(opener.at + 1));
    for (const other of Object.values(open)) while (other.length && other.at(-1).at > opener.at) other.pop();
    opener.count -= used;
    count -= used;
    if (opener.count) out[opener.at] = char.repeat(opener.count);
    else {
      out.pop();
      open[char].pop();
    }
    out.push({ type, content });
  }
  return count;
}

// Texts beside each other are one.
function joined(nodes) {
  const found = [];
  for (const node of nodes) {
    if (typeof node === "string" && typeof found.at(-1) === "string") found[found.length - 1] += node;
    else found.push(node);
  }
  return found;
}
