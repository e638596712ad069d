"""The client's half against the server's half, without any I/O between them."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from meerkat_client._protocol import ClientProtocol, Notification, ServerRequest
from meerkatd.listener.framed import FramedCodec
from meerkatd.protocol.codec import Incoming
from meerkatd.protocol.connection import Answer, Begin, CancelCall, Connection
from meerkatd.protocol.envelope import notification, request, result_reply


class Both:
    """Every message of either side goes through its encoder, its bytes, and the other's decoder."""

    def __init__(self) -> None:
        self.client = ClientProtocol()
        self.server = Connection()
        self.codec = FramedCodec()

    def up(self, data: bytes) -> list[Any]:
        items = self.codec.feed(data)
        assert all(isinstance(item, Incoming) for item in items)
        return [self.server.receive(item.message) for item in items if isinstance(item, Incoming)]

    def down(self, message: dict[str, Any]) -> list[Notification | ServerRequest]:
        return self.client.feed(self.codec.encode(message))

    def initialized(self) -> "Both":
        pending, data = self.client.request("initialize", {})
        (action,) = self.up(data)
        self.server.finish(action.call, None)
        self.down(result_reply(action.call.id, {}))
        assert pending.done
        return self


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(st.text(max_size=5), JSON, max_size=3), JSON)
def test_params_and_result_arrive_as_they_were_sent(params: dict[str, Any], result: Any) -> None:
    both = Both().initialized()
    pending, data = both.client.request("x", params)
    (action,) = both.up(data)
    assert isinstance(action, Begin)
    assert (action.call.method, action.call.params) == ("x", params)
    both.down(result_reply(action.call.id, result))
    assert pending.result() == result


def test_a_cancelled_call_is_found_by_the_server() -> None:
    both = Both().initialized()
    pending, data = both.client.request("x")
    (begun,) = both.up(data)
    assert both.up(both.client.cancel(pending)) == [CancelCall(begun.call)]


def test_the_daemons_request_comes_back_as_its_answer() -> None:
    both = Both().initialized()
    (asked,) = both.down(request("srv-1", "tool/execute", {"name": "x"}))
    assert asked == ServerRequest("srv-1", "tool/execute", {"name": "x"})
    assert both.up(both.client.reply(asked, {"content": "ok"})) == [Answer("srv-1", {"content": "ok"}, None)]
    assert both.up(both.client.refuse(asked, "no\ud800")) == [Answer("srv-1", None, "no?")]


def test_a_notification_is_no_reply() -> None:
    both = Both().initialized()
    assert both.down(notification("session/event", {"a": 1})) == [Notification("session/event", {"a": 1})]
