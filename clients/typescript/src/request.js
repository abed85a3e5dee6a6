import { operations } from "../generated/operations.js";

// Where in HTTP the fields of a request stand, by the contract's table: path, query, JSON body or the body as it is.
export function request(name, fields) {
  const operation = Object.hasOwn(operations, name) ? operations[name] : null;
  if (operation === null) throw new TypeError(`there is no operation ${name} with a route`);
  const rest = { ...fields };
  const path = operation.path.replace(/{(\w+)}/g, (_, field) => {
    if (rest[field] === undefined || rest[field] === "") throw new TypeError(`${name} needs ${field}`);
    const value = String(rest[field]);
    // A URL takes these for steps up and down, however they are written.
    if (value === "." || value === "..") throw new TypeError(`${name} takes no ${field} ${value}`);
    delete rest[field];
    return encodeURIComponent(value);
  });
  if (operation.raw) {
    const body = rest[operation.raw];
    delete rest[operation.raw];
    return { operation, path: path + query(rest), body, mediaType: "application/octet-stream" };
  }
  if (operation.method === "GET" || operation.method === "DELETE") return { operation, path: path + query(rest) };
  return { operation, path, body: JSON.stringify(rest), mediaType: "application/json" };
}

function query(fields) {
  const given = Object.entries(fields).filter(([, value]) => value !== undefined && value !== null);
  return given.length ? `?${new URLSearchParams(given)}` : "";
}
