"""The wire of godwit.v1 for Python: its two encodings, and what a client can compute.

A frame is a dict with the members that it has in JSON, except that a body is
bytes. In protobuf it is written and read by the text of godwit.proto alone, with
no generated code, so a mistake in that file shows.
"""

import base64
import hashlib
import json
import re
import struct


def partition(user, n):
    """The partition of a user among n: FNV-1a-64, folded by xor, modulo n."""
    h = 0xCBF29CE484222325
    for byte in user.encode():
        h = (h ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return (h >> 32 ^ h & 0xFFFFFFFF) % n


def message_id(sender, device, id, to, kind, body):
    """The key of a send, as 32 hexadecimal digits. body is bytes."""
    h = hashlib.sha256()

    def add(value):
        h.update(struct.pack(">I", len(value)))
        h.update(value)

    for text in (sender, device, id):
        add(text.encode())
    h.update(struct.pack(">I", len(to)))
    for user in to:
        add(user.encode())
    add(bytes([{"message": 0, "signal": 1}[kind]]))
    add(body)
    return h.hexdigest()[:32]


class JSON:
    """The encoding of the subprotocol godwit.v1.json."""

    subprotocol = "godwit.v1.json"

    def encode(self, frame):
        return json.dumps(to_json(frame))

    def decode(self, data):
        if not isinstance(data, str):
            raise ValueError("a frame came in a binary message")
        return from_json(json.loads(data))


def to_json(frame):
    frame = dict(frame)
    if "messages" in frame:
        frame["messages"] = [to_json(m) for m in frame["messages"]]
    body = frame.pop("body", None)
    if body is not None:
        try:
            frame["body"] = body.decode()
        except UnicodeDecodeError:
            frame["body_base64"] = base64.b64encode(body).decode()
    return frame


def from_json(frame):
    if "body" in frame:
        frame["body"] = frame["body"].encode()
    elif "body_base64" in frame:
        frame["body"] = base64.b64decode(frame.pop("body_base64"), validate=True)
    for message in frame.get("messages", []):
        from_json(message)
    return frame


class Proto:
    """The encoding of the subprotocol godwit.v1.proto."""

    subprotocol = "godwit.v1.proto"

    def __init__(self, schema):
        """schema is the text of godwit.proto."""
        self.messages, self.enums = {}, {}
        schema = re.sub(r"//[^\n]*", "", schema)
        for name, block in re.findall(r"enum (\w+) \{(.*?)\n\}", schema, re.S):
            prefix = name.upper() + "_"
            values = re.findall(r"(\w+) = (\d+);", block)
            self.enums[name] = {int(n): v.removeprefix(prefix).lower() for v, n in values}
        for name, block in re.findall(r"message (\w+) \{(.*?)\n?\}\n(?=\n|$)", schema, re.S):
            fields = re.findall(r"(repeated )?(\w+) (\w+) = (\d+);", block)
            self.messages[name] = {int(n): (f, t, bool(r)) for r, t, f, n in fields}

    def encode(self, frame, message="ClientFrame"):
        """A frame of a client or, for tests of the format, of a server (ServerFrame)."""
        fields = dict(frame)
        name = fields.pop("type")
        if name == "deliver":
            return self._write(message, self._store(fields))
        if "messages" in fields:
            fields["messages"] = [self._store(m) for m in fields["messages"]]
        return self._write(message, {name: fields})

    def _store(self, fields):
        """The fields of a delivery, with those of its message as one."""
        fields = dict(fields)
        stored = {f: fields.pop(f) for f, _, _ in self.messages["Message"].values() if f in fields}
        return fields | {"message": self._write("Message", stored)}

    def decode(self, data, message="ServerFrame"):
        if not isinstance(data, bytes):
            raise ValueError("a frame came in a text message")
        fields = self._read(message, data)
        if "message" in fields:
            return {"type": "deliver"} | self._stored(fields)
        [(name, inner)] = fields.items()
        if name == "history_page" and "code" not in inner:
            inner["messages"] = [self._stored(m) for m in inner.get("messages", [])]
        return {"type": name} | inner

    def _stored(self, fields):
        """The fields of a delivery, with those of its message among them."""
        stored = self._read("Message", fields.pop("message"))
        return {"kind": "message"} | fields | stored

    def _write(self, message, values):
        out = bytearray()
        known = {name: (number, kind, repeated) for number, (name, kind, repeated) in self.messages[message].items()}
        # A server writes the body of a stored message last.
        for name in sorted(values, key=lambda name: (message == "Message" and name == "body", known[name][0])):
            number, kind, repeated = known[name]
            for value in values[name] if repeated else [values[name]]:
                out += self._write_field(number, name, kind, value, repeated)
        return bytes(out)

    def _write_field(self, number, name, kind, value, repeated):
        if kind in self.messages:
            value = self._write(kind, value)
        elif kind in self.enums:
            value = {text: n for n, text in self.enums[kind].items()}[value]
        elif kind == "string":
            value = value.encode()
        elif name == "message_id":
            value = bytes.fromhex(value)
        if isinstance(value, bytes):
            if value or repeated or kind in self.messages:
                return varint(number << 3 | 2) + varint(len(value)) + value
            return b""
        return varint(number << 3) + varint(int(value)) if value else b""

    def _read(self, message, data):
        values, at = {}, 0
        while at < len(data):
            tag, at = read_varint(data, at)
            if tag & 7 == 0:
                value, at = read_varint(data, at)
            elif tag & 7 == 2:
                size, at = read_varint(data, at)
                if at + size > len(data):
                    raise ValueError("a field ends beyond the message")
                value, at = data[at : at + size], at + size
            else:
                raise ValueError(f"wire type {tag & 7}")
            if tag >> 3 not in self.messages[message]:
                continue  # a client skips what it does not know
            name, kind, repeated = self.messages[message][tag >> 3]
            if kind in self.messages:
                value = self._read(kind, value)
            elif kind in self.enums:
                value = self.enums[kind][value]
            elif kind == "string":
                value = value.decode()
            elif kind == "bool":
                value = bool(value)
            elif name == "message_id":
                value = value.hex()
            if repeated:
                values.setdefault(name, []).append(value)
            else:
                values[name] = value
        return values


def varint(n):
    out = bytearray()
    while n > 0x7F:
        out.append(n & 0x7F | 0x80)
        n >>= 7
    return bytes(out) + bytes([n])


def read_varint(data, at):
    value = 0
    for i, byte in enumerate(data[at : at + 10]):
        value |= (byte & 0x7F) << 7 * i
        if byte < 0x80:
            return value, at + i + 1
    raise ValueError("a number without an end")
