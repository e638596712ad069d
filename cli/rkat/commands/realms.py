"""`rkat realms`: the realms of this state root."""

from typing import Annotated, Any

import typer

from .. import output, table
from ..connection import connect
from ..options import Options
from ..times import clock
from ..tree import BRANCH, Leaf

app = typer.Typer(**BRANCH, help="See and make realms, which keep sessions together or apart.")


@app.command(cls=Leaf)
def current(ctx: typer.Context) -> None:
    """Show the realm that commands use here."""
    options = Options.of(ctx)
    with connect(options) as client:
        realm = client.call("realm/current")
    _write(options, realm)


@app.command("list", cls=Leaf)
def list_realms(ctx: typer.Context) -> None:
    """List every realm."""
    options = Options.of(ctx)
    with connect(options) as client:
        realms = client.call("realm/list")["realms"]
    if options.json:
        output.document({"realms": realms})
        return
    if not realms:
        output.note("No realms found; one comes to be with its first session.")
        return
    table.show(
        ("REALM", "BACKEND", "ORIGIN", "TURNS", "CREATED"),
        [
            (
                realm["realm_id"],
                realm.get("backend", "-"),
                realm["origin"],
                str(realm["active_turns"]),
                clock(realm["created_at"]) if "created_at" in realm else "-",
            )
            for realm in realms
        ],
        right=(3,),
    )


@app.command(cls=Leaf)
def show(
    ctx: typer.Context,
    realm: Annotated[str | None, typer.Argument(metavar="[REALM]", help="Default: the realm used here.")] = None,
) -> None:
    """Show one realm, with its counts."""
    options = Options.of(ctx)
    with connect(options) as client:
        found = client.call("realm/show", {"realm_id": realm} if realm is not None else {})
    _write(options, found)


@app.command(cls=Leaf)
def create(
    ctx: typer.Context,
    realm: Annotated[str, typer.Argument(metavar="REALM", help="Its id.")],
    backend: Annotated[
        str | None,
        typer.Option("--backend", metavar="NAME", help="sqlite (default), jsonl, redb or memory; pinned for good."),
    ] = None,
) -> None:
    """Make a realm and pin its backend."""
    options = Options.of(ctx)
    chosen = backend or options.realm_backend
    # The hint belongs to the realm that is made, not to the one that this connection is bound to.
    with connect(options._replace(realm_backend=None)) as client:
        made = client.call("realm/create", {"realm_id": realm, **({"backend": chosen} if chosen else {})})
    _write(options, made)


def _write(options: Options, realm: dict[str, Any]) -> None:
    if options.json:
        output.document(realm)
        return
    size = realm.get("bytes_on_disk")
    table.fields(
        (
            ("realm", realm["realm_id"]),
            ("exists", "yes" if realm["exists"] else "not yet; its first session makes it"),
            ("origin", realm["origin"]),
            ("backend", realm.get("backend")),
            ("created", clock(realm["created_at"]) if "created_at" in realm else None),
            ("path", realm.get("path")),
            ("sessions", _number(realm.get("sessions"))),
            ("messages", _number(realm.get("messages"))),
            ("size", f"{size / 1e6:.1f} MB" if size is not None else None),
            ("connections", str(realm["connections"])),
            ("turns", str(realm["active_turns"])),
            ("problem", realm.get("problem")),
        )
    )


def _number(count: int | None) -> str | None:
    return None if count is None else str(count)
