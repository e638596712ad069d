"""The program's beginning: argv in, exit status out."""

import logging
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager

import trio

from meerkat_client._async.link import Link
from meerkat_client.errors import RkatError
from meerkat_client.tools import Toolbox
from meerkat_client.wire.codes import row

from .app import Door, Shim
from .body import Bodies
from .calls import Calls
from .events import Feeds
from .guard import Guard
from .options import NAME, Options, parse
from .serving import Server, address_of, listen
from .token import Token, token_in
from .watch import Watch

_ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def main(argv: Sequence[str] | None = None) -> int:
    """Run `rkat-rest` with these arguments (default: those of the process); returns the exit status."""
    logging.basicConfig(level=logging.WARNING, format=f"{NAME}: %(levelname)s: %(message)s", stream=sys.stderr)
    try:
        options = parse(sys.argv[1:] if argv is None else argv, os.environ)
        if options.prints is not None:
            _print(options.prints)
        else:
            trio.run(_run, options)
    except RkatError as error:
        print(f"error: {error.message} ({error.code})\n  → {error.hint}", file=sys.stderr)
        return row(error.code).exit
    return 0


def _print(what: str) -> None:
    from . import openapi, pages

    sys.stdout.write(openapi.text() if what == "openapi" else pages.html())


async def _run(options: Options) -> None:
    for note in options.notes:
        _say(note)
    with trio.open_signal_receiver(*_ENDS) as signals:
        listener = await listen(options.host, options.port)
        async with linked(options) as link:
            address = address_of(options.host, listener.socket.getsockname()[1])
            with token_in(options.token_file, state_root=options.state_root, address=address) as token:
                _announce(link, token, address)
                await _serve(options, link, listener, token, signals)


async def _serve(
    options: Options, link: Link, listener: trio.SocketListener, token: Token, signals: AsyncIterator[int]
) -> None:
    closing = trio.Event()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_close_on_signal, signals, closing)
        nursery.start_soon(_close_link, link, closing)
        await Server(Door(make_shim(options, link, token, nursery, closing))).run(listener, closing)
        nursery.cancel_scope.cancel()


def make_shim(options: Options, link: Link, token: Token, nursery: trio.Nursery, closing: trio.Event) -> Shim:
    """What the application needs. What goes on in `nursery` ends with it; `closing` is told to clients."""
    return Shim(
        calls=Calls(link, options, nursery, closing),
        feeds=Feeds(link, nursery),
        watch=Watch(link, nursery),
        bodies=Bodies(),
        guard=Guard(token.value, frozenset(options.allowed_hosts), options.webhook_secret),
        closing=closing,
    )


async def _close_link(link: Link, closing: trio.Event) -> None:
    """Closed and not cancelled: cancelling would take the turns back."""
    await closing.wait()
    link.close()


@asynccontextmanager
async def linked(options: Options) -> AsyncIterator[Link]:
    """A connection to the daemon, which is started when none runs."""
    link = Link(options.connect, Toolbox())
    await link.open()
    try:
        yield link
    finally:
        link.close()
        await link.leave()


async def _close_on_signal(signals: AsyncIterator[int], closing: trio.Event) -> None:
    async for _ in signals:
        closing.set()


def _announce(link: Link, token: Token, address: str) -> None:
    """The address on stdout, for programs; the rest on stderr."""
    _say(f"realm {link.info['realm_id']}")
    _say(f"token in {token.path}")
    _say(f"try: curl -H @{token.header_path} http://{address}/sessions")
    with _reader_may_be_gone():
        print(f"http://{address}", flush=True)


def _say(text: str) -> None:
    with _reader_may_be_gone():
        print(f"{NAME}: {text}", file=sys.stderr, flush=True)


@contextmanager
def _reader_may_be_gone() -> Iterator[None]:
    """Serving goes on when nobody reads what is said."""
    try:
        yield
    except BrokenPipeError:
        return


if __name__ == "__main__":
    sys.exit(main())
