// A device of a user of godwit, on the `ws` package.
//
//   node chat.mjs URL --token TOKEN [--device NAME] [--encoding json|proto] ...
//
// It takes commands from standard input and tells what happens on standard output, one
// JSON object a line each: those that chat.py, the same in Python, describes.

import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";
import WebSocket from "ws";

import { JSONEncoding, ProtoEncoding, fromJSON, messageID, toJSON } from "./wire.mjs";

function tell(event, more = {}) {
  process.stdout.write(JSON.stringify({ event, ...more }) + "\n");
}

class Device {
  #socket;
  #encoding;
  #name;
  #user = "";
  #seq = 0;
  #sent = new Map(); // id of a send without an ack: its message_id

  constructor(socket, encoding, name) {
    this.#socket = socket;
    this.#encoding = encoding;
    this.#name = name;
    socket.on("open", () => tell("open", { protocol: socket.protocol }));
    socket.on("message", (data, binary) => this.#receive(data, binary));
    socket.on("pong", () => tell("probed"));
    socket.on("close", (code, reason) => tell("closed", { code, reason: reason.toString() }));
  }

  #receive(data, binary) {
    const frame = this.#encoding.decode(data, binary);
    tell("frame", { frame: toJSON(frame) });
    switch (frame.type) {
      case "welcome":
        this.#user = frame.user;
        this.#name ||= frame.session;
        break;
      case "deliver":
        this.#number(frame.seq, frame.seq);
        break;
      case "gap":
        this.#number(frame.from_seq, frame.to_seq);
        break;
      case "heartbeat":
        if (frame.seq !== this.#seq) tell("wrong", { text: `heartbeat tells number ${frame.seq}, the last was ${this.#seq}` });
        break;
      case "ack":
        this.#acked(frame);
    }
  }

  /** Every delivery has the next number, or a gap tells of it. */
  #number(first, last) {
    if (first !== this.#seq + 1 || last < first) {
      tell("wrong", { text: `numbers ${first} to ${last} came after ${this.#seq}` });
    }
    this.#seq = last;
  }

  #acked({ id, status, message_id }) {
    const want = this.#sent.get(id);
    this.#sent.delete(id);
    if (status === "stored" && message_id !== want) {
      tell("wrong", { text: `ack of ${id} has message_id ${message_id}, want ${want}` });
    }
  }

  do({ do: what, ...command }) {
    switch (what) {
      case "send": {
        const frame = fromJSON({ type: "send", ...command });
        this.#sent.set(frame.id, messageID({ ...frame, from: this.#user, device: this.#name }));
        this.#socket.send(this.#encoding.encode(frame));
        break;
      }
      case "history": return this.#socket.send(this.#encoding.encode({ type: "history", ...command }));
      case "ping": return this.#socket.send(this.#encoding.encode({ type: "ping" }));
      case "probe": return this.#socket.ping();
      case "text": return this.#socket.send(raw(command), { binary: false });
      case "binary": return this.#socket.send(raw(command), { binary: true });
      case "pause": return this.#socket.pause();
      case "resume": return this.#socket.resume();
      case "close": return this.#socket.close();
    }
  }
}

function raw({ text, base64 }) {
  return text !== undefined ? Buffer.from(text) : Buffer.from(base64, "base64");
}

const { positionals, values: args } = parseArgs({
  allowPositionals: true,
  options: {
    token: { type: "string", default: "" },
    "token-in": { type: "string", default: "header" },
    device: { type: "string", default: "" },
    parameter: { type: "string", multiple: true, default: [] }, // another one of the query: name=value
    encoding: { type: "string", default: "json" },
    schema: { type: "string" }, // godwit.proto, for the encoding proto
    origin: { type: "string" }, // speak as a browser does for a page from there
  },
});

const encoding = args.encoding === "json" ? new JSONEncoding() : new ProtoEncoding(readFileSync(args.schema, "utf8"));
const url = new URL(positionals[0]);
const protocols = [encoding.subprotocol];
const headers = {};
if (args.device) url.searchParams.set("device", args.device);
for (const parameter of args.parameter) url.searchParams.set(...parameter.split(/=(.*)/s, 2));
if (args["token-in"] === "header") headers.Authorization = `Bearer ${args.token}`;
if (args["token-in"] === "query") url.searchParams.set("token", args.token);
if (args["token-in"] === "subprotocol") protocols.push(`bearer.${args.token}`);

const socket = new WebSocket(url, protocols, { headers, origin: args.origin, maxPayload: 0 });
socket.on("error", (err) => process.stderr.write(`${err}\n`)); // a close follows
socket.on("unexpected-response", async (request, response) => {
  const body = Buffer.concat(await response.toArray()).toString();
  tell("refused", { status: response.statusCode, headers: response.headers, body });
  process.exit();
});

const device = new Device(socket, encoding, args.device);
const commands = createInterface({ input: process.stdin });
commands.on("line", (line) => device.do(JSON.parse(line)));
commands.on("close", () => socket.close());
socket.on("close", () => commands.close());
