"""The list of behaviours. A test cites the ids that it holds; `test_promises.py` checks that none is left out.

The same body runs over every surface, so a promise that holds through one door only turns red.
"""

from collections.abc import Callable
from typing import TypeVar

PROMISES = {
    "CON-1": "The first request is initialize; anything else is refused, and so is a second initialize.",
    "CON-2": "A connection is bound to one realm: by id, by workspace, or a fresh one of its own.",
    "CON-3": "Unknown methods, unknown fields and wrong types are refused by name, and nothing happens.",
    "CON-4": "Replies may be out of order: a long request does not hold up a short one.",
    "CON-5": "cancel {request_id} of a turn interrupts it, and the reply tells so.",
    "CON-6": "initialize announces the contract version that it is asked for; below 0.6 events come in their old form.",
    "REA-1": "The same realm id shares sessions between connections; another one sees nothing of them.",
    "REA-2": "A realm is not on the disk before its first write.",
    "REA-3": "A backend hint that contradicts the manifest is refused, naming both.",
    "REA-4": "A connection without a realm gets one of its own, which is not on the disk until it is written.",
    "REA-5": "A deleted realm goes to the trash; uses by others keep it, unless forced; whoever is bound is told so.",
    "REA-6": "prune takes what nobody uses, empty_trash is for good, and both tell what they take.",
    "REA-7": "A backup is of one moment, made while turns run, and read back; restored, it is the same.",
    "REA-8": "An export is one file that every backend takes; one that was cut off or changed makes nothing.",
    "REA-9": "A realm is converted to another backend with all that it has, or not at all; never while a turn runs.",
    "REA-10": "realm/check reads a realm through while it is used, and names each fault with its mend.",
    "CFG-1": "config/get, set and patch answer with the whole envelope; a realm comes to be at the first write.",
    "CFG-2": "A write with a stale expected_generation is refused with both generations.",
    "CFG-3": "A malformed write changes nothing and names its field.",
    "CFG-4": "Secrets are taken and kept, and no answer shows them.",
    "CFG-5": "The same idempotency key writes once, also after a restart.",
    "CFG-6": "A watch tells each generation, edits by hand included, until it is ended.",
    "CFG-7": "The schema and the effective config tell every key.",
    "BLO-1": "blob/get gives what a blob_id stands for, checked against it; a missing one is BLOB_NOT_FOUND.",
    "SES-1": "create answers with the turn's result and stores the session with its first turn.",
    "SES-2": "A session whose first turn failed is named in the error and can go on.",
    "SES-3": "A deferred session is seen by everybody and runs with its first turn.",
    "SES-4": "The list is newest change first, by offset and limit and labels; archived ones only on request.",
    "SES-5": "History is oldest first, dense, by offset and limit; an offset past the end is an empty page.",
    "SES-6": "An archived session keeps history and read, leaves the list, and refuses every change.",
    "SES-7": "read and list carry realm, backend and config generation.",
    "SES-8": "fork_at gives a new session with the first messages of an idle one, which stays as it is.",
    "SES-9": "inject_context adds to the transcript at once, or with the running turn's next step; a key adds once.",
    "SES-10": "external_event tells a session of what happened outside, as a notice; a key tells once.",
    "SES-11": "compact lets a summary stand for the older part of what the model sees, also after a restart.",
    "SES-12": "A project's own instructions are used only when allowed, kept with the session, and shown.",
    "TUR-1": "A second turn is refused at once with SESSION_BUSY, which names the holder.",
    "TUR-2": "interrupt works from any connection, answers after the commit, and the caller gets REQUEST_CANCELLED.",
    "TUR-3": "interrupt of an idle session is SESSION_NOT_RUNNING.",
    "TUR-4": "A turn outlives the connection that started it.",
    "TUR-5": "The same idempotency key gives the first outcome; with other params it is refused.",
    "TUR-6": "An answer has to fit its output schema, is asked for again with the places, and fails with them.",
    "TUR-9": "Images of a prompt are kept as blobs, named in the history, and refused when they are none.",
    "EVE-1": "Events of a turn come to its starter before the response; session_events: false sends none.",
    "EVE-2": "A stream opened in the middle of a turn replays the turn so far and follows it.",
    "EVE-3": "A stream resumes after any cursor and misses nothing.",
    "EVE-4": "stream_end is a stream's last word; closing twice is told apart.",
    "EVE-5": "events/list_since gives pages after any cursor, tells what is gone, and refuses cursors that cannot be.",
    "EVE-6": "events/snapshot gives a session and the cursor from which nothing of what follows is missed.",
    "EVE-7": "Cursors stay exact over a restart of the daemon.",
    "EVE-8": "A client that does not read, or dies, holds up no turn and no other client, and is kept little for.",
    "TOO-1": "A turn asks the connection that registered a tool, wherever it was started from.",
    "TOO-2": "A tool whose client vanishes is an error that the model sees; the turn goes on.",
    "DAE-1": "A daemon that stops lets turns end, then interrupts and commits them; new turns are refused meanwhile.",
    "DAE-2": "capabilities and features name what works; health looks at disk, config, daemon and the open store.",
    "DAE-3": "A door on TCP lives as long as its opener; pages get at no programs, files or addresses through it.",
}

# The clients of ours make values of what the daemon says, and do by themselves what a bare connection is told to do.
TYPED = "events are values there: tests/sdk/test_streams.py"
# What the client in TypeScript gives of a turn are the payloads; a subscription gives whole events.
PAYLOADS = "a turn's events are their payloads there: client/typescript/test/live.test.ts"
_SDK = {
    "CON-1": "a client greets the daemon itself",
    "CON-3": "a client refuses misspelt options itself: tests/sdk/test_async.py",
    "CON-5": "a call that is given up has no answer: tests/sdk/test_async.py",
    "CON-6": "a client speaks the contract of its own version",
    "REA-5": "a client has no watch, which this waits for; tests/sdk/test_realm.py",
    "CFG-6": "a client has no watch",
    "TUR-4": f"{TYPED} and tests/sdk/test_lost.py",
    **dict.fromkeys(("EVE-1", "EVE-2", "EVE-3", "EVE-4", "EVE-8"), TYPED),
    "TUR-9": "a message's content is its text there: tests/sdk/test_sessions.py",
    "EVE-6": "what is read of a session is a value there: tests/sdk/test_sessions.py",
    **dict.fromkeys(("TOO-1", "TOO-2"), "a tool is a function there: tests/sdk/test_tools.py"),
    "DAE-1": "a client connects anew when a daemon leaves: tests/sdk/test_lost.py",
}

_TS = {
    **{promise: _SDK[promise] for promise in ("CON-1", "CON-6", "CFG-6")},
    "DAE-1": "a client connects anew when a daemon leaves: client/typescript/test/reconnect.test.ts",
}

# Ways of which whole promises are not true, and why.
NOT_PROMISED: dict[str, dict[str, str]] = {
    "tcp": {
        "CFG-4": "keys of providers are not set by pages",
        "CFG-1": "pages replace no config as a whole",
        "CFG-3": "pages replace no config as a whole",
        "REA-4": "its body replaces a config as a whole",
        "REA-6": "its body replaces a config as a whole",
        "REA-7": "files of this machine are not written or read for pages",
        "REA-8": "files of this machine are not written or read for pages",
        "REA-9": "a page may not take a realm from others",
        "SES-12": "pages name no folders",
    },
    "rpc": {"CON-1": "it greets the daemon itself, before what its client asks first"},
    "py": _SDK,
    "py-blocking": {**_SDK, "CON-4": "a blocking client asks one thing at a time"},
    "ts": _TS,
    "mcp": {
        "CON-1": "MCP has a handshake of its own, which the SDK keeps",
        "CON-2": "the command line chooses the realm: tests/mcp_shim/test_process.py",
        "CON-3": "told by the tool, and an unknown tool by the protocol: tests/mcp_shim/test_tools.py",
        "CON-5": "a request that was taken back is never answered: tests/mcp_shim/test_turns.py",
        "CON-6": "tools have no versions of the contract",
        "REA-3": "the command line names the backend: tests/mcp_shim/test_process.py",
        "REA-4": "the command line chooses the realm: tests/mcp_shim/test_process.py",
        "REA-5": "agents do not delete realms",
        "REA-6": "agents do not delete realms",
        "REA-7": "people make backups, and agents do not",
        "REA-8": "people export realms, and agents do not",
        "REA-9": "people convert realms, and agents do not",
        "REA-10": "people look after realms, and agents do not",
        "BLO-1": "agents make no realms, which this needs: tests/mcp_shim/test_tools.py",
        "CFG-6": "a tool answers once; agents read the generation",
        "EVE-1": "what comes before the answer is progress: tests/mcp_shim/test_turns.py",
        "EVE-6": "meerkat_read gives session and cursor at once",
        "TOO-1": "agents offer no tools through this door",
        "TOO-2": "agents offer no tools through this door",
        "DAE-2": "agents do not look after the daemon",
        "DAE-3": "agents open no doors",
    },
    "rest": {
        "CON-1": "rkat-rest sends initialize itself, once",
        "CON-6": "requests have no versions of the contract",
        "CON-3": "what is unknown is an address here: tests/rest/test_sessions.py",
        "REA-7": "files of this machine are not written or read over HTTP",
        "REA-8": "files of this machine are not written or read over HTTP",
        "REA-9": "no address converts realms",
        "REA-10": "no address reads realms through",
        "BLO-1": "a blob is an address here: tests/rest/test_sessions.py",
        "CFG-3": "a body may be the document itself: tests/rest/test_config.py",
        "EVE-1": "a request has one answer; GET /sessions/{session_id}/events has the events",
        "TOO-1": "the daemon calls a tool over the connection that offers it, and HTTP has no way back",
        "TOO-2": "the daemon calls a tool over the connection that offers it, and HTTP has no way back",
        "DAE-3": "a door on TCP lives as long as a connection, and a request has none",
    },
}

T = TypeVar("T", bound=Callable[..., object])


def holds(*ids: str) -> Callable[[T], T]:
    """Mark a test with the promises that it holds."""
    unknown = [each for each in ids if each not in PROMISES]
    assert not unknown, f"no such promise: {unknown}"

    def mark(test: T) -> T:
        test.__dict__["promises"] = ids
        return test

    return mark


def except_over(**reasons: str) -> Callable[[T], T]:
    """Mark a test that does not run over these ways (with _ for -), each with the reason."""

    def mark(test: T) -> T:
        test.__dict__["exceptions"] = {name.replace("_", "-"): reason for name, reason in reasons.items()}
        return test

    return mark


def exceptions_of(test: Callable[..., object]) -> dict[str, str]:
    """The ways over which a test does not run, with the reasons: its own, or those of a promise that it holds."""
    found: dict[str, str] = dict(getattr(test, "exceptions", {}))
    for surface, reasons in NOT_PROMISED.items():
        for promise in getattr(test, "promises", ()):
            if promise in reasons:
                found.setdefault(surface, reasons[promise])
    return found
