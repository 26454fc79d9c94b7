"""Checks the published vectors of godwit against the code of wire.py.

    vectors.py partition.json message_id.json frames.json godwit.proto

It prints how many vectors of each file agree, as a JSON object, or fails.
"""

import json
import sys

import wire


def check(what, got, want):
    if got != want:
        raise SystemExit(f"{what}: {got!r}, want {want!r}")


def check_partitions(path):
    vectors = json.load(open(path, encoding="utf-8"))["vectors"]
    for v in vectors:
        for n, want in v["partition"].items():
            check(f"partition of {v['user']!r} among {n}", wire.partition(v["user"], int(n)), want)
    return len(vectors)


def check_message_ids(path):
    vectors = json.load(open(path, encoding="utf-8"))["vectors"]
    for v in vectors:
        body = bytes.fromhex(v["body_hex"])
        got = wire.message_id(v["from"], v["device"], v["id"], v["to"], v["kind"], body)
        check(f"message_id: {v['name']}", got, v["message_id"])
    return len(vectors)


def check_frames(path, schema):
    file = json.load(open(path, encoding="utf-8"))
    text, proto = wire.JSON(), wire.Proto(open(schema, encoding="utf-8").read())
    for side, message in (("client", "ClientFrame"), ("server", "ServerFrame")):
        for v in file[side]:
            frame = with_body(v["fields"])
            data = bytes.fromhex(v["proto"])
            check(f"{v['name']}, read from JSON", bare(text.decode(v["json"])), bare(frame))
            check(f"{v['name']}, read from protobuf", bare(proto.decode(data, message)), bare(frame))
            check(f"{v['name']}, written as JSON", json.loads(text.encode(frame)), json.loads(v["json"]))
            check(f"{v['name']}, written as protobuf", proto.encode(frame, message).hex(), v["proto"])
    return len(file["client"]) + len(file["server"])


def with_body(fields):
    """The fields of a vector with the body as bytes."""
    frame = dict(fields)
    if "body_hex" in frame:
        frame["body"] = bytes.fromhex(frame.pop("body_hex"))
    if "messages" in frame:
        frame["messages"] = [with_body(m) for m in frame["messages"]]
    return frame


def bare(value):
    """A frame without its zero values, which may be left out."""
    if isinstance(value, list):
        return [bare(v) for v in value]
    if isinstance(value, dict):
        return {k: bare(v) for k, v in value.items() if v and (k, v) != ("kind", "message")}
    return value


partitions, message_ids, frames, schema = sys.argv[1:]
print(json.dumps({
    "partitions": check_partitions(partitions),
    "message_ids": check_message_ids(message_ids),
    "frames": check_frames(frames, schema),
}))
