"""`rkat sessions`: what there is, what it says, and what is running."""

from typing import Annotated, Any

import typer

from .. import budgets, output, table
from ..connection import connect
from ..options import Options
from ..pairs import parse_labels
from ..references import Session, short, short_all
from ..times import ago, clock
from ..tree import BRANCH, Leaf

app = typer.Typer(**BRANCH, help="List, read, watch and stop sessions.")

# As many as fit on a screen.
LIST_LIMIT = 20
# The most that one page of the daemon may have; a larger list is asked for with --offset.
PAGE_LIMIT = 1000
_SHOWN_LINES = 12


@app.command("list", cls=Leaf)
def list_sessions(
    ctx: typer.Context,
    limit: Annotated[int, typer.Option("--limit", metavar="N", min=1, max=PAGE_LIMIT, help="How many.")] = LIST_LIMIT,
    offset: Annotated[int, typer.Option("--offset", metavar="N", min=0, help="How many to leave out.")] = 0,
    label: Annotated[
        list[str] | None, typer.Option("--label", metavar="K=V", help="Only those with this label; repeatable.")
    ] = None,
    archived: Annotated[bool, typer.Option("--all", help="Archived ones, too.")] = False,
) -> None:
    """List sessions, the one that changed last first."""
    options = Options.of(ctx)
    # One more than is shown tells whether there are more.
    asked = min(limit + 1, PAGE_LIMIT)
    params: dict[str, Any] = {"limit": asked, "offset": offset, "include_archived": archived}
    labels = parse_labels(label or ())
    if labels:
        params["labels"] = labels
    with connect(options) as client:
        found = client.call("session/list", params)["sessions"]
    rows = found[:limit]
    if options.json:
        output.document({"sessions": rows})
        return
    if not rows:
        output.note("No sessions found.")
        return
    _show_list(rows)
    if len(found) > limit:
        output.note(f"more: rkat sessions list{options.again()} --offset {offset + limit}")


def _show_list(rows: list[dict[str, Any]]) -> None:
    names = short_all([row["session_id"] for row in rows])
    table.show(
        ("ID", "STATE", "MESSAGES", "TOKENS", "UPDATED", "TITLE"),
        [
            (
                names[row["session_id"]],
                state_of(row),
                str(row["message_count"]),
                str(row["total_tokens"]),
                ago(row["updated_at"]),
                row["title"],
            )
            for row in rows
        ],
        right=(2, 3),
    )


def state_of(row: dict[str, Any]) -> str:
    """A session's state in one word."""
    if row["archived"]:
        return "archived"
    return "running" if row["is_active"] else "idle"


def _budget(limits: dict[str, Any] | None) -> str | None:
    return " ".join(f"{name}={value:g}" for name, value in limits.items()) if limits else None


@app.command(cls=Leaf)
def show(ctx: typer.Context, session: Session) -> None:
    """Show what a session is and how its last turn ended."""
    options = Options.of(ctx)
    with connect(options, reference=session) as client:
        found = client.call("session/read", {"session_id": session})
    if options.json:
        output.document(found)
        return
    labels = " ".join(f"{key}={value}" for key, value in found.get("labels", {}).items())
    usage = found["usage"]
    table.fields(
        (
            ("session", found["session_id"]),
            ("ref", found["session_ref"]),
            ("state", state_of(found)),
            ("title", found["title"]),
            ("model", found["model"]),
            ("created", f"{clock(found['created_at'])} ({ago(found['created_at'])})"),
            ("updated", f"{clock(found['updated_at'])} ({ago(found['updated_at'])})"),
            ("messages", str(found["message_count"])),
            ("tokens", f"{usage.get('input_tokens', 0)} in, {usage.get('output_tokens', 0)} out"),
            ("cost", budgets.money(found.get("cost"))),
            ("budget", _budget(found.get("session_budget_limits"))),
            ("of a turn", _budget(found.get("budget_limits"))),
            ("backend", found["backend"]),
            ("labels", labels or None),
            ("compacted", _compacted(found.get("compaction"))),
            ("system", found.get("system_prompt")),
            ("project", (found.get("project_instructions") or {}).get("path")),
            ("waiting", found.get("staged_prompt")),
            ("running", _holder(found.get("active_turn"))),
            ("last turn", _last_turn(found.get("last_turn"))),
        )
    )
    text = found.get("last_assistant_text")
    if text:
        lines = text.splitlines()
        output.text("\n" + "\n".join(lines[:_SHOWN_LINES]) + "\n")
        if len(lines) > _SHOWN_LINES:
            output.note(f"... rkat sessions history{options.again()} {short(found['session_id'])} has the rest")


def _compacted(compaction: dict[str, Any] | None) -> str | None:
    if compaction is None:
        return None
    tokens, through = compaction["summary_tokens"], compaction["through"]
    return f"the model sees a summary of {tokens} tokens for the first {through} messages"


def _holder(turn: dict[str, Any] | None) -> str | None:
    if turn is None:
        return None
    pid = f", pid {turn['pid']}" if "pid" in turn else ""
    return f"since {ago(turn['started_at_ms'] / 1000)}, started by {turn['client']} ({turn['surface']}{pid})"


def _last_turn(turn: dict[str, Any] | None) -> str | None:
    if turn is None:
        return None
    error = turn.get("error")
    return f"{turn['state']}: {error['message']} ({error['code']})" if error else turn["state"]


@app.command(cls=Leaf)
def history(
    ctx: typer.Context,
    session: Session,
    offset: Annotated[
        int, typer.Option("--offset", metavar="N", min=0, help="How many to leave out, from the oldest.")
    ] = 0,
    limit: Annotated[int, typer.Option("--limit", metavar="N", min=1, max=PAGE_LIMIT, help="How many.")] = 100,
) -> None:
    """Show a session's messages, the oldest first. --verbose shows reasoning, and tools in full."""
    from .. import transcript

    options = Options.of(ctx)
    with connect(options, reference=session) as client:
        page = client.call("session/history", {"session_id": session, "offset": offset, "limit": limit})
    if options.json:
        output.document(page)
        return
    transcript.show(page["messages"], first=page["offset"], verbose=options.verbose)
    if page["has_more"]:
        following = page["offset"] + len(page["messages"])
        left = page["message_count"] - following
        output.note(f"{left} more: rkat sessions history{options.again()} {session} --offset {following}")


@app.command(cls=Leaf)
def attach(ctx: typer.Context, session: Session) -> None:
    """Watch a running turn, from its beginning to its end. Ctrl-C leaves and lets it run."""
    from ..watching import watch

    watch(Options.of(ctx), session)


@app.command(cls=Leaf)
def interrupt(ctx: typer.Context, session: Session) -> None:
    """Stop a running turn, whoever started it. What was produced is kept."""
    options = Options.of(ctx)
    with connect(options, reference=session) as client:
        result = client.call("turn/interrupt", {"session_id": session})
    if options.json:
        output.document(result)
    elif result["interrupted"]:
        print(f"interrupted {short(result['session_id'])}; what was produced is kept")
    else:
        print(f"the turn of {short(result['session_id'])} had {result['outcome']} before the interrupt came")


@app.command(cls=Leaf)
def compact(
    ctx: typer.Context,
    session: Session,
    keep: Annotated[
        int | None,
        typer.Option("--keep", metavar="N", min=0, help="Leave the last N turns as they are (default: the config's)."),
    ] = None,
) -> None:
    """Let a summary stand for the older part of what the model sees. The history stays as it is."""
    from .. import compacting

    compacting.compact(Options.of(ctx), session, keep=keep)


@app.command(cls=Leaf)
def archive(ctx: typer.Context, session: Session) -> None:
    """Take a session off the list. Its history stays readable, and `unarchive` brings it back."""
    _set_archived(ctx, session, "session/archive", "archived")


@app.command(cls=Leaf)
def unarchive(ctx: typer.Context, session: Session) -> None:
    """Put an archived session back on the list."""
    _set_archived(ctx, session, "session/unarchive", "unarchived")


def _set_archived(ctx: typer.Context, session: str, method: str, word: str) -> None:
    options = Options.of(ctx)
    with connect(options, reference=session) as client:
        result = client.call(method, {"session_id": session})
    if options.json:
        output.document(result)
    else:
        print(f"{word} {short(result['session_id'])}")


@app.command(cls=Leaf)
def fork(
    ctx: typer.Context,
    session: Session,
    at: Annotated[
        int | None, typer.Option("--at", metavar="N", min=0, help="Take the first N messages. The default is all.")
    ] = None,
) -> None:
    """Make a new session that begins with the messages of another one. From there on each goes its own way."""
    options = Options.of(ctx)
    with connect(options, reference=session) as client:
        source = client.call("session/read", {"session_id": session})
        count = source["message_count"] if at is None else at
        result = client.call("session/fork_at", {"session_id": source["session_id"], "message_index": count})
    if options.json:
        output.document(result)
    else:
        print(result["session_id"])
        output.note(f"has the first {result['message_count']} messages of {short(result['source_session_id'])}")


@app.command(cls=Leaf)
def label(
    ctx: typer.Context,
    session: Session,
    labels: Annotated[list[str] | None, typer.Argument(metavar="[K=V]...", help="Labels to set.")] = None,
    remove: Annotated[
        list[str] | None, typer.Option("--remove", metavar="K", help="A label to take away; repeatable.")
    ] = None,
) -> None:
    """Set or remove labels of a session; the others stay."""
    options = Options.of(ctx)
    changes: dict[str, str | None] = {**parse_labels(labels or ()), **dict.fromkeys(remove or ())}
    with connect(options, reference=session) as client:
        result = client.call("session/label", {"session_id": session, "labels": changes})
    if options.json:
        output.document(result)
    else:
        table.fields(tuple(result["labels"].items()))
