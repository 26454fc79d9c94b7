"""A device of a user of godwit, on the `websockets` package.

    chat.py URL --token TOKEN [--device NAME] [--encoding json|proto] ...

It takes commands from standard input and tells what happens on standard output,
one JSON object a line each. Commands, by their member "do":

    send    {id, to, body | body_base64, kind, ttl_ms}: send a message
    history {id, after, before, around, limit, peer}: ask for a page
    ping    ask for a pong of the protocol
    probe   send a ping of WebSocket, and tell when its pong comes ("probed")
    text    {text | base64}: send a text message as it is
    binary  {base64}: send a binary message as it is
    pause   stop reading
    resume  read again
    close   say goodbye

Events, by their member "event": open, refused {status, headers, body}, frame {frame},
probed, closed {code, reason}, and wrong {text}: the server broke the protocol.
"""

import argparse
import asyncio
import base64
import json
import socket
import sys
from urllib.parse import urlencode, urlsplit

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

import wire


def tell(event, **more):
    print(json.dumps({"event": event, **more}), flush=True)


class Device:
    def __init__(self, socket, encoding, name):
        self.socket = socket
        self.encoding = encoding
        self.name = name
        self.user = ""
        self.seq = 0
        self.sent = {}  # id of a send without an ack: its message_id
        self.reading = asyncio.Event()
        self.reading.set()

    async def read(self):
        try:
            while True:
                await self.reading.wait()
                self.receive(await self.socket.recv())
        except ConnectionClosed:
            tell("closed", code=self.socket.close_code, reason=self.socket.close_reason)

    def receive(self, data):
        frame = self.encoding.decode(data)
        tell("frame", frame=wire.to_json(frame))
        match frame["type"]:
            case "welcome":
                self.user = frame["user"]
                self.name = self.name or frame["session"]
            case "deliver":
                self.number(frame["seq"], frame["seq"])
            case "gap":
                self.number(frame["from_seq"], frame["to_seq"])
            case "heartbeat":
                if frame["seq"] != self.seq:
                    tell("wrong", text=f"heartbeat tells number {frame['seq']}, the last was {self.seq}")
            case "ack":
                self.acked(frame)

    def number(self, first, last):
        """Every delivery has the next number, or a gap tells of it."""
        if first != self.seq + 1 or last < first:
            tell("wrong", text=f"numbers {first} to {last} came after {self.seq}")
        self.seq = last

    def acked(self, ack):
        want = self.sent.pop(ack["id"], None)
        if ack["status"] == "stored" and ack.get("message_id") != want:
            tell("wrong", text=f"ack of {ack['id']} has message_id {ack.get('message_id')}, want {want}")

    async def do(self, command):
        match command.pop("do"):
            case "send":
                frame = wire.from_json({"type": "send", **command})
                self.sent[frame["id"]] = wire.message_id(
                    self.user, self.name, frame["id"], frame["to"], frame.get("kind", "message"), frame["body"])
                await self.socket.send(self.encoding.encode(frame))
            case "history":
                await self.socket.send(self.encoding.encode({"type": "history", **command}))
            case "ping":
                await self.socket.send(self.encoding.encode({"type": "ping"}))
            case "probe":
                await (await self.socket.ping())
                tell("probed")
            case "text":
                await self.socket.send(raw(command), text=True)
            case "binary":
                await self.socket.send(raw(command), text=False)
            case "pause":
                self.reading.clear()
            case "resume":
                self.reading.set()
            case "close":
                await self.socket.close()


def raw(command):
    if "text" in command:
        return command["text"].encode()
    return base64.b64decode(command["base64"])


async def obey(device):
    reader = asyncio.StreamReader(limit=4 << 20)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    async for line in reader:
        try:
            await device.do(json.loads(line))
        except ConnectionClosed:
            pass  # read tells of it
    await device.socket.close()


async def main():
    args = argparse.ArgumentParser()
    args.add_argument("url")
    args.add_argument("--token", default="")
    args.add_argument("--token-in", choices=["header", "query", "subprotocol"], default="header")
    args.add_argument("--device", default="")
    args.add_argument("--parameter", action="append", default=[], help="another one of the query: name=value")
    args.add_argument("--encoding", choices=["json", "proto"], default="json")
    args.add_argument("--schema", help="godwit.proto, for the encoding proto")
    args.add_argument("--origin", help="speak as a browser does for a page from there")
    args.add_argument("--receive-buffer", type=int, help="bytes that the kernel holds for a reader that pauses")
    args = args.parse_args()

    encoding = wire.JSON() if args.encoding == "json" else wire.Proto(open(args.schema, encoding="utf-8").read())
    protocols, headers, query = [encoding.subprotocol], {}, {}
    if args.device:
        query["device"] = args.device
    query |= dict(parameter.split("=", 1) for parameter in args.parameter)
    match args.token_in:
        case "header":
            headers["Authorization"] = f"Bearer {args.token}"
        case "query":
            query["token"] = args.token
        case "subprotocol":
            protocols.append(f"bearer.{args.token}")

    # A buffer must be set before the connection is made, and a reader that pauses sees no pong.
    options = {"ping_interval": None, "max_queue": 4}
    if args.receive_buffer:
        url = urlsplit(args.url)
        options["sock"] = sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, args.receive_buffer)
        sock.connect((url.hostname, url.port))
    try:
        ws = await connect(
            f"{args.url}?{urlencode(query)}", subprotocols=protocols, origin=args.origin,
            additional_headers=headers, proxy=None, **options)
    except InvalidStatus as refused:
        r = refused.response
        tell("refused", status=r.status_code, headers={k.lower(): v for k, v in r.headers.raw_items()}, body=r.body.decode())
        return
    tell("open", protocol=ws.subprotocol)
    device = Device(ws, encoding, args.device)
    async with asyncio.TaskGroup() as tasks:
        obeying = tasks.create_task(obey(device))
        await device.read()
        obeying.cancel()


asyncio.run(main())
