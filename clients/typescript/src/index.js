export { Polis } from "./polis.js";
export { Problem } from "./problem.js";
