// Fields made from a JSON Schema, and the value that they hold. What has no field of its own is written as JSON.

let made = 0;

// The fields of an object's properties, or one for a value of another kind.
export function fieldsOf(schema, value) {
  const properties = schema.properties;
  if (!properties) return [field("", schema, value, true)];
  const required = new Set(schema.required ?? []);
  return Object.entries(properties).map(([name, property]) => field(name, property, value?.[name], required.has(name)));
}

// The value as the server takes it; fields that were left empty are left out.
export function valueOf(fieldset) {
  const value = {};
  for (const input of fieldset.querySelectorAll("[data-kind]")) {
    input.removeAttribute("aria-invalid");
    const read = readers[input.dataset.kind](input);
    if (input.dataset.name === "") return read;
    if (read !== undefined) value[input.dataset.name] = read;
  }
  return value;
}

// Marks the fields that faults name by their pointers (`/value/<name>`).
export function wrongFields(fieldset, faults) {
  const inputs = [...fieldset.querySelectorAll("[data-kind]")];
  const wrong = inputs.filter((input) => faults.some(({ pointer }) => names(pointer, input.dataset.name)));
  for (const input of wrong) input.setAttribute("aria-invalid", "true");
  wrong[0]?.focus();
}

const names = (pointer, name) => (name === "" ? pointer.startsWith("/value") : pointer.split("/")[2] === name);

const readers = {
  text: (input) => (input.value === "" ? undefined : input.value),
  number: (input) => (input.value === "" ? undefined : Number(input.value)),
  flag: (input) => input.checked,
  json: (input) => {
    if (input.value.trim() === "") return undefined;
    try {
      return JSON.parse(input.value);
    } catch {
      input.setAttribute("aria-invalid", "true");
      throw new Error(`${input.dataset.name || "The value"} is no JSON.`);
    }
  },
  choice: (input) => (input.value === "" ? undefined : JSON.parse(input.value)),
};

function field(name, schema, value, required) {
  const input = inputOf(schema, value);
  Object.assign(input, { id: `field-${++made}`, required: required && input.type !== "checkbox" });
  input.dataset.name = name;
  const label = document.createElement("label");
  label.htmlFor = input.id;
  label.append(schema.title ?? (name || "Value"), input);
  if (schema.description) {
    const hint = Object.assign(document.createElement("small"), { id: `${input.id}-hint`, textContent: schema.description });
    input.setAttribute("aria-describedby", hint.id);
    label.append(hint);
  }
  return label;
}

function inputOf(schema, value) {
  const given = value === undefined ? schema.default : value;
  if (schema.enum) return choices(schema.enum, given);
  switch (schema.type) {
    case "string":
      return text(schema, given ?? "");
    case "integer":
    case "number":
      return number(schema, given);
    case "boolean":
      return marked("flag", Object.assign(document.createElement("input"), { type: "checkbox", checked: given === true }));
  }
  const json = Object.assign(document.createElement("textarea"), { rows: 4, value: given === undefined ? "" : JSON.stringify(given, null, 2) });
  return marked("json", json);
}

const TYPES = { email: "email", uri: "url", date: "date", time: "time", "date-time": "text" };

function text(schema, value) {
  const long = !schema.format && (schema.maxLength ?? 0) > 200;
  const input = document.createElement(long ? "textarea" : "input");
  if (!long) input.type = TYPES[schema.format] ?? "text";
  if (schema.maxLength !== undefined) input.maxLength = schema.maxLength;
  if (schema.minLength !== undefined) input.minLength = schema.minLength;
  input.value = value;
  return marked("text", input);
}

function number(schema, value) {
  const input = Object.assign(document.createElement("input"), { type: "number", step: schema.type === "integer" ? "1" : "any" });
  if (schema.minimum !== undefined) input.min = schema.minimum;
  if (schema.maximum !== undefined) input.max = schema.maximum;
  if (value !== undefined && value !== null) input.value = value;
  return marked("number", input);
}

function choices(values, given) {
  const select = document.createElement("select");
  select.append(new Option("", ""));
  for (const value of values) {
    const chosen = JSON.stringify(value) === JSON.stringify(given);
    select.append(new Option(typeof value === "string" ? value : JSON.stringify(value), JSON.stringify(value), chosen, chosen));
  }
  return marked("choice", select);
}

function marked(kind, input) {
  input.dataset.kind = kind;
  return input;
}
