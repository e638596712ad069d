"""The least that answers: a trio server with the same framing that sends every request's params back."""

import argparse
import functools
import os

import trio

from meerkat_client.wire.framing import FrameReader, decode, encode_frame
from meerkat_client.wire.limits import MAX_REPLY_FRAME, MAX_REQUEST_FRAME, RECEIVE_CHUNK


async def echo(stream: trio.SocketStream) -> None:
    reader = FrameReader(MAX_REQUEST_FRAME)
    while data := await stream.receive_some(RECEIVE_CHUNK):
        reader.feed(data)
        while isinstance(body := reader.next(), bytes):
            message = decode(body)
            reply = {"jsonrpc": "2.0", "id": message["id"], "result": message.get("params")}
            await stream.send_all(encode_frame(reply, MAX_REPLY_FRAME))


async def serve(path: str, ready_fd: int) -> None:
    with trio.socket.socket(trio.socket.AF_UNIX, trio.socket.SOCK_STREAM) as listening:
        await listening.bind(path)
        listening.listen()
        os.write(ready_fd, b"READY\n")
        os.close(ready_fd)
        await trio.serve_listeners(echo, [trio.SocketListener(listening)])


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("path")
    parser.add_argument("--ready-fd", type=int, required=True)
    args = parser.parse_args()
    trio.run(functools.partial(serve, args.path, args.ready_fd))


if __name__ == "__main__":
    main()
