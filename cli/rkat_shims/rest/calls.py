"""Params to the daemon and outcomes back; turns that outlive the request that began them."""

import logging
import secrets
from typing import Any, Final

import trio

from meerkat_client._async.link import Link
from meerkat_client.errors import RkatError
from meerkat_client.requests import Ask

from . import powers
from .body import Disconnected, Receive
from .flights import Flight, Flights
from .options import Options
from .params import JsonObject, shape_of
from .paths import without_paths
from .routes import Route

log = logging.getLogger(__name__)

_KEY_BYTES: Final = 16


class Calls:
    """The daemon, as the endpoints see it.

    Args:
        nursery: in which turns run on when their request is gone.
        closing: set when this process ends.
    """

    def __init__(self, link: Link, options: Options, nursery: trio.Nursery, closing: trio.Event) -> None:
        self.link = link
        self.options = options
        self.flights = Flights()
        self.closing = closing
        self._nursery = nursery

    async def ask(self, route: Route, params: JsonObject) -> Any:
        """What a method gives.

        Raises:
            RkatError: what the daemon answered, or that there is none.
        """
        return await self.link.ask(self._asked(route, params))

    async def read(self, method: str, params: JsonObject) -> Any:
        """What a method gives that changes nothing."""
        return await self.link.ask(Ask(method, params, _plain))

    async def run_turn(self, route: Route, params: JsonObject, *, request_id: str, receive: Receive) -> Any:
        """What a turn gives. It runs on when the client goes away, and when this process ends.

        Raises:
            RkatError: why it gave nothing.
            Disconnected: the client is gone.
        """
        self.refuse_while_closing()
        asked = self._asked(route, params)
        flight = self.flights.begin(request_id)
        self._nursery.start_soon(self._fly, request_id, flight, asked)
        await _over_or_gone(flight, receive)
        return flight.outcome()

    async def _fly(self, request_id: str, flight: Flight, ask: Ask[Any]) -> None:
        try:
            flight.end(await self.link.ask(ask, begun=flight.begun), None)
        except RkatError as error:
            flight.end(None, self._seen_from_here(error, ask))
        except Exception as error:
            log.error("a turn's request failed unexpectedly", exc_info=error)
            flight.end(None, RkatError("INTERNAL_ERROR", "The request failed in a way that it should not."))
        finally:
            self.flights.end(request_id)

    def refuse_while_closing(self) -> None:
        if self.closing.is_set():
            raise RkatError("SHUTTING_DOWN", "rkat-rest is ending.")

    def _seen_from_here(self, error: RkatError, ask: Ask[Any]) -> RkatError:
        if not self.closing.is_set() or error.code != "DAEMON_UNAVAILABLE":
            return error
        return RkatError(
            "SHUTTING_DOWN",
            "rkat-rest is ending; the turn goes on in the daemon.",
            hint="Read or follow the session through any other door.",
            details={name: ask.params[name] for name in ("session_id",) if name in ask.params},
        )

    def _asked(self, route: Route, params: JsonObject) -> Ask[Any]:
        if not self.options.allow_programs:
            powers.refuse_in_call(route.method, params)
        keyed = shape_of(route).takes_key
        if keyed:
            params.setdefault("idempotency_key", f"rest-{secrets.token_hex(_KEY_BYTES)}")
        if route.method == "session/create" and self.options.default_model is not None:
            params.setdefault("model", self.options.default_model)
        runs_turn = route.kind == "turn" and params.get("initial_turn") != "deferred"
        if route.kind == "turn":
            params["session_events"] = False
        return Ask(route.method, params, self.shown, repeatable=route.reads or keyed, runs_turn=runs_turn)

    def shown(self, result: Any) -> Any:
        """A result as this server shows it."""
        return result if self.options.expose_paths else without_paths(result)


async def _over_or_gone(flight: Flight, receive: Receive) -> None:
    gone = False

    async with trio.open_nursery() as nursery:

        async def listen() -> None:
            nonlocal gone
            while (await receive())["type"] != "http.disconnect":
                pass
            gone = True
            nursery.cancel_scope.cancel()

        nursery.start_soon(listen)
        await flight.over.wait()
        nursery.cancel_scope.cancel()
    if gone and not flight.over.is_set():
        raise Disconnected


def _plain(result: Any) -> Any:
    return result
