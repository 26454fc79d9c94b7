// The wire of godwit.v1 for JavaScript: its two encodings, and what a client can
// compute.
//
// A frame is an object with the members that it has in JSON, except that a body is a
// Buffer. In protobuf it is written and read by the text of godwit.proto alone, with no
// generated code, so a mistake in that file shows.

import { createHash } from "node:crypto";

/** The partition of a user among n: FNV-1a-64, folded by xor, modulo n. */
export function partition(user, n) {
  let h = 0xcbf29ce484222325n;
  for (const byte of Buffer.from(user)) h = BigInt.asUintN(64, (h ^ BigInt(byte)) * 0x100000001b3n);
  return Number(((h >> 32n) ^ (h & 0xffffffffn)) % BigInt(n));
}

/** The key of a send, as 32 hexadecimal digits. body is a Buffer. */
export function messageID({ from, device, id, to, kind = "message", body }) {
  const hash = createHash("sha256");
  const number = (n) => {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32BE(n);
    hash.update(bytes);
  };
  const add = (value) => {
    const bytes = Buffer.from(value);
    number(bytes.length);
    hash.update(bytes);
  };
  [from, device, id].forEach(add);
  number(to.length);
  to.forEach(add);
  add([["message", "signal"].indexOf(kind)]);
  add(body);
  return hash.digest("hex").slice(0, 32);
}

export function toJSON({ body, messages, ...frame }) {
  if (messages) return { ...frame, messages: messages.map(toJSON) };
  if (body === undefined) return frame;
  try {
    // ignoreBOM: U+FEFF is a character like any other.
    return { ...frame, body: new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(body) };
  } catch {
    return { ...frame, body_base64: body.toString("base64") };
  }
}

export function fromJSON({ body, body_base64, messages, ...frame }) {
  if (messages) return { ...frame, messages: messages.map(fromJSON) };
  if (body !== undefined) return { ...frame, body: Buffer.from(body) };
  if (body_base64 !== undefined) return { ...frame, body: Buffer.from(body_base64, "base64") };
  return frame;
}

/** The encoding of the subprotocol godwit.v1.json. */
export class JSONEncoding {
  subprotocol = "godwit.v1.json";

  encode(frame) {
    return JSON.stringify(toJSON(frame));
  }

  decode(data, binary = false) {
    if (binary) throw new Error("a frame came in a binary message");
    return fromJSON(JSON.parse(data));
  }
}

/** The encoding of the subprotocol godwit.v1.proto. */
export class ProtoEncoding {
  subprotocol = "godwit.v1.proto";
  #messages = new Map(); // name: fields, in the order of their numbers, the body of a Message last
  #enums = new Map(); // name: values, as JSON has them

  /** schema is the text of godwit.proto. */
  constructor(schema) {
    schema = schema.replace(/\/\/.*/g, "");
    for (const [, name, block] of schema.matchAll(/^enum (\w+) \{([^}]*)\}/gm)) {
      const values = [];
      for (const [, value, n] of block.matchAll(/(\w+) = (\d+);/g)) {
        values[n] = value.slice(name.length + 1).toLowerCase();
      }
      this.#enums.set(name, values);
    }
    for (const [, name, block] of schema.matchAll(/^message (\w+) \{(\}|[^]*?^\})/gm)) {
      const fields = [...block.matchAll(/(repeated )?(\w+) (\w+) = (\d+);/g)].map(([, repeated, type, field, n]) => ({
        number: Number(n), name: field, type, repeated: repeated !== undefined,
      }));
      const place = (f) => (name === "Message" && f.name === "body" ? Infinity : f.number);
      this.#messages.set(name, fields.sort((a, b) => place(a) - place(b)));
    }
  }

  /** A frame of a client or, for tests of the format, of a server (ServerFrame). */
  encode({ type, ...fields }, message = "ClientFrame") {
    if (type === "deliver") return this.#write(message, this.#store(fields));
    if (fields.messages) fields.messages = fields.messages.map((m) => this.#store({ ...m }));
    return this.#write(message, { [type]: fields });
  }

  /** The fields of a delivery, with those of its message as one. */
  #store(fields) {
    const stored = {};
    for (const { name } of this.#messages.get("Message")) {
      if (name in fields) stored[name] = fields[name];
      delete fields[name];
    }
    return { ...fields, message: this.#write("Message", stored) };
  }

  decode(data, binary = true, message = "ServerFrame") {
    if (!binary) throw new Error("a frame came in a text message");
    const fields = this.#read(message, data);
    if (fields.message) return { type: "deliver", ...this.#stored(fields) };
    const [[type, inner]] = Object.entries(fields);
    if (type === "history_page" && !inner.code) inner.messages = (inner.messages ?? []).map((m) => this.#stored(m));
    return { type, ...inner };
  }

  /** The fields of a delivery, with those of its message among them. */
  #stored({ message, ...fields }) {
    return { kind: "message", ...fields, ...this.#read("Message", message) };
  }

  #write(message, values) {
    const parts = [];
    for (const field of this.#messages.get(message)) {
      if (!(field.name in values)) continue;
      for (const value of field.repeated ? values[field.name] : [values[field.name]]) {
        parts.push(...this.#writeField(field, value));
      }
    }
    return Buffer.concat(parts);
  }

  #writeField({ number, name, type, repeated }, value) {
    if (this.#messages.has(type)) value = this.#write(type, value);
    else if (this.#enums.has(type)) value = this.#enums.get(type).indexOf(value);
    else if (type === "string") value = Buffer.from(value);
    else if (name === "message_id") value = Buffer.from(value, "hex");
    if (Buffer.isBuffer(value)) {
      if (value.length === 0 && !repeated && !this.#messages.has(type)) return [];
      return [varint((number << 3) | 2), varint(value.length), value];
    }
    return value ? [varint(number << 3), varint(value)] : [];
  }

  #read(message, data) {
    const values = {};
    for (let at = 0; at < data.length; ) {
      let tag, value;
      [tag, at] = readVarint(data, at);
      const field = this.#messages.get(message).find(({ number }) => number === tag >>> 3);
      if ((tag & 7) === 0) {
        [value, at] = readVarint(data, at);
      } else if ((tag & 7) === 2) {
        [value, at] = readVarint(data, at);
        if (at + value > data.length) throw new Error("a field ends beyond the message");
        [value, at] = [data.subarray(at, at + value), at + value];
      } else {
        throw new Error(`wire type ${tag & 7}`);
      }
      if (!field) continue; // a client skips what it does not know
      const { name, type, repeated } = field;
      if (this.#messages.has(type)) value = this.#read(type, value);
      else if (this.#enums.has(type)) value = this.#enums.get(type)[value];
      else if (type === "string") value = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(value);
      else if (type === "bool") value = value !== 0;
      else if (name === "message_id") value = value.toString("hex");
      if (repeated) (values[name] ??= []).push(value);
      else values[name] = value;
    }
    return values;
  }
}

function varint(n) {
  const bytes = [];
  for (n = BigInt(n); n > 0x7fn; n >>= 7n) bytes.push(Number(n & 0x7fn) | 0x80);
  return Buffer.from([...bytes, Number(n)]);
}

function readVarint(data, at) {
  let value = 0n;
  for (let i = 0n; i < 10n && at < data.length; i++, at++) {
    value |= BigInt(data[at] & 0x7f) << (7n * i);
    if (data[at] < 0x80) return [Number(value), at + 1];
  }
  throw new Error("a number without an end");
}
