"""The same client without `await`, for programs that do one thing at a time. It loads no anyio.

    from meerkat_client.blocking import MeerkatClient

    with MeerkatClient(workspace=".") as client:
        session = client.create_session("Hello")
        print(session.text)

A client belongs to one thread. Tools are carried out in that thread, while it waits for something else.
"""

from .client import MeerkatClient
from .session import DeferredSession, Session
from .streams import EventStream, EventSubscription

__all__ = ["DeferredSession", "EventStream", "EventSubscription", "MeerkatClient", "Session"]
