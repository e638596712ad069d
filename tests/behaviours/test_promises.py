"""The list of promises and the tests that hold them belong together."""

from tests.behaviours import (
    test_blobs,
    test_config,
    test_connections,
    test_events,
    test_host,
    test_replay,
    test_sessions,
    test_turns,
)
from tests.behaviours.promises import PROMISES

MODULES = (test_blobs, test_config, test_connections, test_events, test_host, test_replay, test_sessions, test_turns)


def test_every_promise_is_held_by_a_test():
    cited = {
        promise for module in MODULES for test in vars(module).values() for promise in getattr(test, "promises", ())
    }
    assert cited == set(PROMISES)
