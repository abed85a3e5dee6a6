import * as client from "../../../clients/typescript/src/index.js";
import { story } from "./story.js";

const { url, token, graph } = JSON.parse(process.argv[2]);
const say = async (what) => void process.stdout.write(`${JSON.stringify(what)}\n`);
await story(client, { url, token }, { graph, say });
