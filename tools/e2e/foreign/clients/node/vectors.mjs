// Checks the published vectors of godwit against the code of wire.mjs.
//
//   node vectors.mjs partition.json message_id.json frames.json godwit.proto
//
// It prints how many vectors of each file agree, as a JSON object, or fails.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";

import { JSONEncoding, ProtoEncoding, messageID, partition } from "./wire.mjs";

const [partitions, messageIDs, frames, schema] = process.argv.slice(2);

function checkPartitions({ vectors }) {
  for (const v of vectors) {
    for (const [n, want] of Object.entries(v.partition)) {
      assert.equal(partition(v.user, Number(n)), want, `partition of ${v.user} among ${n}`);
    }
  }
  return vectors.length;
}

function checkMessageIDs({ vectors }) {
  for (const v of vectors) {
    const got = messageID({ ...v, body: Buffer.from(v.body_hex, "hex") });
    assert.equal(got, v.message_id, `message_id: ${v.name}`);
  }
  return vectors.length;
}

function checkFrames(file, schema) {
  const text = new JSONEncoding();
  const proto = new ProtoEncoding(schema);
  for (const [side, message] of [["client", "ClientFrame"], ["server", "ServerFrame"]]) {
    for (const v of file[side]) {
      const frame = withBody(v.fields);
      const read = proto.decode(Buffer.from(v.proto, "hex"), true, message);
      assert.deepEqual(bare(text.decode(v.json)), bare(frame), `${v.name}, read from JSON`);
      assert.deepEqual(bare(read), bare(frame), `${v.name}, read from protobuf`);
      assert.deepEqual(JSON.parse(text.encode(frame)), JSON.parse(v.json), `${v.name}, written as JSON`);
      assert.equal(proto.encode(frame, message).toString("hex"), v.proto, `${v.name}, written as protobuf`);
    }
  }
  return file.client.length + file.server.length;
}

/** The fields of a vector with the body as bytes. */
function withBody({ body_hex, ...fields }) {
  if (body_hex !== undefined) fields.body = Buffer.from(body_hex, "hex");
  if (fields.messages) fields.messages = fields.messages.map(withBody);
  return fields;
}

/** A frame without its zero values, which may be left out. Bytes become their digits. */
function bare(frame) {
  const out = {};
  for (const [name, value] of Object.entries(frame)) {
    if (Buffer.isBuffer(value)) {
      if (value.length > 0) out[name] = value.toString("hex");
    } else if (value && !Array.isArray(value) && typeof value === "object") {
      out[name] = bare(value);
    } else if (name === "messages") {
      out[name] = value.map(bare);
    } else if (value && !(name === "kind" && value === "message")) {
      out[name] = value;
    }
  }
  return out;
}

const load = (path) => readFileSync(path, "utf8");
console.log(JSON.stringify({
  partitions: checkPartitions(JSON.parse(load(partitions))),
  message_ids: checkMessageIDs(JSON.parse(load(messageIDs))),
  frames: checkFrames(JSON.parse(load(frames)), load(schema)),
}));
