// Elements made of properties and children. Text only ever becomes text: nothing here reads HTML.

export const at = (id) => document.getElementById(id);

// Properties are set as such; `data`, `aria` and `on` take what their names say by name; undefined and false are left out.
export function h(tag, { data, aria, on, role, ...properties } = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) if (value !== undefined) element[name] = value;
  for (const [name, value] of Object.entries(data ?? {})) if (value !== undefined) element.dataset[name] = value;
  for (const [name, value] of Object.entries(aria ?? {})) if (value !== undefined) element.setAttribute(`aria-${name}`, value);
  for (const [name, listener] of Object.entries(on ?? {})) element.addEventListener(name, listener);
  if (role) element.setAttribute("role", role);
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

export function button(text, act, properties = {}) {
  return h("button", { type: "button", ...properties, on: { click: act } }, ...[text].flat());
}

// Children of a parent, one for each item: those that are there stay (and keep the focus), what differs is drawn anew.
// draw(item, element) fills an element of its own; `same` tells whether an item looks as it did.
export function keyed(parent, items, { key, tag = "li", same = Object.is, draw }) {
  const drawn = (parent.drawn ??= new Map());
  const wanted = new Set(items.map(key));
  for (const [name, { element }] of drawn) {
    if (wanted.has(name)) continue;
    element.remove();
    drawn.delete(name);
  }
  let next = parent.firstElementChild;
  for (const item of items) {
    const name = key(item);
    let entry = drawn.get(name);
    if (!entry) drawn.set(name, (entry = { element: document.createElement(tag), item: undefined }));
    if (entry.item === undefined || !same(entry.item, item)) {
      draw(item, entry.element);
      entry.item = item;
    }
    if (entry.element === next) next = next.nextElementSibling;
    else parent.insertBefore(entry.element, next);
  }
}
