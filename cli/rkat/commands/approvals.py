"""`rkat approvals`: tool calls that wait until a person has allowed them."""

import json
from typing import Annotated, Any

import typer

from .. import output, table
from ..connection import connect
from ..options import Options
from ..references import short, short_all
from ..times import clock
from ..tree import BRANCH, Leaf

app = typer.Typer(**BRANCH, help="Answer tool calls that wait until somebody allows them.")

Id = Annotated[str, typer.Argument(metavar="APPROVAL", help="Its id, or the first 4 or more characters of it.")]


@app.command("list", cls=Leaf)
def list_approvals(
    ctx: typer.Context,
    session: Annotated[str | None, typer.Option("--session", metavar="SESSION", help="Only of this session.")] = None,
    all_: Annotated[bool, typer.Option("--all", help="Also those that have their answer.")] = False,
) -> None:
    """List what waits for an answer, newest first."""
    options = Options.of(ctx)
    params: dict[str, Any] = {"session_id": session} if session is not None else {}
    if all_:
        params["states"] = ["pending", "allowed", "denied", "cancelled", "used"]
    with connect(options, reference=session) as client:
        found = client.call("approval/list", params)["approvals"]
    if options.json:
        output.document({"approvals": found})
        return
    if not found:
        output.note("No approvals found." if all_ else "Nothing waits for an answer.")
        return
    names = short_all([each["approval_id"] for each in found])
    table.show(
        ("APPROVAL", "SESSION", "STATE", "ASKED", "CALL"),
        [
            (
                names[each["approval_id"]],
                short(each["session_id"]),
                each["state"],
                clock(each["created_at_ms"] // 1000),
                f"{each['tool']} {json.dumps(each['arguments'], ensure_ascii=False)}",
            )
            for each in found
        ],
    )


@app.command(cls=Leaf)
def show(ctx: typer.Context, approval: Id) -> None:
    """Show a call with all of its arguments."""
    options = Options.of(ctx)
    with connect(options) as client:
        found = client.call("approval/get", {"approval_id": approval})
    _write(options, found)


@app.command(cls=Leaf)
def allow(ctx: typer.Context, approval: Id) -> None:
    """Let a call run."""
    _decide(Options.of(ctx), {"approval_id": approval, "decision": "allow"})


@app.command(cls=Leaf)
def deny(
    ctx: typer.Context,
    approval: Id,
    reason: Annotated[
        str | None, typer.Option("--reason", metavar="TEXT", help="Why, or what to do instead; the model reads it.")
    ] = None,
) -> None:
    """Refuse a call; the model is told, and goes on."""
    said = {"reason": reason} if reason is not None else {}
    _decide(Options.of(ctx), {"approval_id": approval, "decision": "deny", **said})


def _decide(options: Options, params: dict[str, Any]) -> None:
    with connect(options) as client:
        decided = client.call("approval/decide", params)
    if options.json:
        output.document(decided)
        return
    print(f"{decided['state']}: {decided['tool']}")


def _write(options: Options, approval: dict[str, Any]) -> None:
    if options.json:
        output.document(approval)
        return
    by = approval.get("decided_by")
    table.fields(
        [
            ("approval", approval["approval_id"]),
            ("session", approval["session_id"]),
            ("state", approval["state"]),
            ("asked", clock(approval["created_at_ms"] // 1000)),
            ("answered", clock(approval["decided_at_ms"] // 1000) if "decided_at_ms" in approval else None),
            ("by", f"{by['client']} ({by['surface']})" if by is not None else None),
            ("reason", approval.get("reason")),
            ("tool", approval["tool"]),
            *((f"  {name}", json.dumps(value, ensure_ascii=False)) for name, value in approval["arguments"].items()),
        ]
    )
