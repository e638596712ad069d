"""`rkat realms`: the realms of this state root."""

import os
from typing import Annotated, Any

import typer

from meerkat_client.errors import RkatError
from meerkat_client.wire.codes import TABLE

from .. import output, table
from ..connection import connect
from ..options import Options
from ..references import short_all
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
        found = client.call("realm/list")
    if options.json:
        output.document(found)
        return
    for folder in found["unreadable"]:
        output.note(f"cannot be read: {folder['message']} {folder['hint']}")
    realms = found["realms"]
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
    # Not `realm`: typer would give its value to the global option of that name as well.
    realm_id: Annotated[str | None, typer.Argument(metavar="[REALM]", help="Default: the realm used here.")] = None,
) -> None:
    """Show one realm, with its counts."""
    options = Options.of(ctx)
    with connect(options) as client:
        found = client.call("realm/show", {"realm_id": realm_id} if realm_id is not None else {})
    _write(options, found)


@app.command(cls=Leaf)
def create(
    ctx: typer.Context,
    realm_id: Annotated[str, typer.Argument(metavar="REALM", help="Its id.")],
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
        made = client.call("realm/create", {"realm_id": realm_id, **({"backend": chosen} if chosen else {})})
    _write(options, made)


@app.command(cls=Leaf)
def delete(
    ctx: typer.Context,
    realm_id: Annotated[str, typer.Argument(metavar="REALM", help="Its id.")],
    force: Annotated[bool, typer.Option("--force", help="Also when others use it; its turns are interrupted.")] = False,
) -> None:
    """Move a realm to the trash."""
    options = Options.of(ctx)
    with connect(options) as client:
        answer = client.call("realm/delete", {"realm_id": realm_id, "force": force})
    if options.json:
        output.document(answer)
    elif answer["trash_id"] is None:
        print(f"deleted {realm_id}, for good: it was in memory only")
    else:
        print(f"deleted {realm_id}")
        output.note(f"bring it back with: rkat realms restore {realm_id}{options.again()}")


@app.command(cls=Leaf)
def restore(
    ctx: typer.Context,
    source: Annotated[
        str, typer.Argument(metavar="REALM|PATH", help="Its id or its name in the trash; or a backup: ./team-backup.")
    ],
    new_id: Annotated[
        str | None, typer.Option("--as", metavar="REALM", help="Of a backup: another id than it had.")
    ] = None,
) -> None:
    """Bring a realm back from the trash, or make one of a backup, which a path with a slash names."""
    options = Options.of(ctx)
    if os.sep in source:
        params = {"path": os.path.abspath(source), **({"realm_id": new_id} if new_id is not None else {})}
        with connect(options) as client:
            made = client.call("realm/restore_backup", params)
        _write_copied(options, made, "restored")
        return
    if new_id is not None:
        raise RkatError("INVALID_PARAMS", "--as is for backups; what is in the trash keeps its id.")
    with connect(options) as client:
        in_trash = {row["trash_id"] for row in client.call("realm/trash")["trash"]}
        answer = client.call("realm/restore", {"trash_id" if source in in_trash else "realm_id": source})
    _write(options, answer)


_Realm = Annotated[str | None, typer.Option("--of", metavar="REALM", help="Default: the realm used here.")]


@app.command(cls=Leaf)
def backup(
    ctx: typer.Context,
    folder: Annotated[str, typer.Argument(metavar="FOLDER", help="Where to; it must not exist.")],
    realm_id: _Realm = None,
) -> None:
    """Copy a realm into a folder while it is used, config and its secrets included, and read the copy back."""
    options = Options.of(ctx)
    params = {"path": os.path.abspath(folder), **({"realm_id": realm_id} if realm_id is not None else {})}
    with connect(options) as client:
        made = client.call("realm/backup", params)
    _write_copied(options, made, "backed up")


@app.command(cls=Leaf)
def export(
    ctx: typer.Context,
    file: Annotated[str, typer.Argument(metavar="FILE", help="Where to; it must not exist.")],
    realm_id: _Realm = None,
    secrets: Annotated[bool, typer.Option("--with-secrets", help="The config's keys of providers, too.")] = False,
) -> None:
    """Write a realm into one file, which any backend takes, while it is used."""
    options = Options.of(ctx)
    params: dict[str, Any] = {"path": os.path.abspath(file), "secrets": secrets}
    if realm_id is not None:
        params["realm_id"] = realm_id
    with connect(options) as client:
        made = client.call("realm/export", params)
    _write_copied(options, made, "exported")


@app.command("import", cls=Leaf)
def import_file(
    ctx: typer.Context,
    file: Annotated[str, typer.Argument(metavar="FILE", help="That `export` has written.")],
    new_id: Annotated[str | None, typer.Option("--as", metavar="REALM", help="Another id than it had.")] = None,
    backend: Annotated[
        str | None, typer.Option("--backend", metavar="NAME", help="sqlite or jsonl; the default is what it had.")
    ] = None,
) -> None:
    """Make a realm of an exported file."""
    options = Options.of(ctx)
    params = {"path": os.path.abspath(file)}
    if new_id is not None:
        params["realm_id"] = new_id
    if backend is not None:
        params["backend"] = backend
    with connect(options) as client:
        made = client.call("realm/import", params)
    _write_copied(options, made, "imported")


@app.command(cls=Leaf)
def check(
    ctx: typer.Context,
    realm_id: Annotated[str | None, typer.Argument(metavar="[REALM]", help="Default: the realm used here.")] = None,
) -> None:
    """Read a realm through while it is used, and say what is wrong and how to mend it. 55 is the status then."""
    options = Options.of(ctx)
    with connect(options) as client:
        found = client.call("realm/check", {"realm_id": realm_id} if realm_id is not None else {})
    if options.json:
        output.document(found)
    else:
        for finding in found["findings"]:
            output.text(f"{finding['level']}  {finding['check']}  {finding['subject']}: {finding['message']}\n")
            if "mend" in finding:
                output.text(f"  {finding['mend']}\n")
    if not found["whole"]:
        raise typer.Exit(TABLE["REALM_DAMAGED"].exit)


@app.command(cls=Leaf)
def convert(
    ctx: typer.Context,
    to: Annotated[str, typer.Option("--to", metavar="NAME", help="sqlite or jsonl.")],
    realm_id: Annotated[str | None, typer.Argument(metavar="[REALM]", help="Default: the realm used here.")] = None,
) -> None:
    """Give a realm another backend while no turn runs. The files of before go to the trash."""
    options = Options.of(ctx)
    params = {"to": to, **({"realm_id": realm_id} if realm_id is not None else {})}
    with connect(options._replace(realm_backend=None)) as client:
        made = client.call("realm/convert", params)
    _write_copied(options, made, "converted")


def _write_copied(options: Options, copied: dict[str, Any], word: str) -> None:
    """What was made, and the digest of each session as it was read back from there."""
    if options.json:
        output.document(copied)
        return
    names = short_all(list(copied["digests"]))
    for session_id, digest in copied["digests"].items():
        output.text(f"{names[session_id]}  {digest}\n")
    size = f"{copied['bytes'] / 1e6:.1f} MB"
    counts = f"{copied['sessions']} sessions, {copied['messages']} messages, {copied['blobs']} blobs, {size}"
    output.note(f"{word} {copied['realm_id']} ({copied['backend']}): {copied['path']}\n{counts}; read back and whole")


@app.command(cls=Leaf)
def prune(
    ctx: typer.Context,
    hours: Annotated[
        float, typer.Option("--older-than-hours", metavar="H", min=0, help="Only those without a change for so long.")
    ] = 24.0,
    isolated_only: Annotated[
        bool, typer.Option("--isolated-only/--all", help="Only those that programs made for themselves, or all.")
    ] = True,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show which.")] = False,
) -> None:
    """Move realms that nobody uses to the trash."""
    options = Options.of(ctx)
    params = {"older_than_hours": hours, "isolated_only": isolated_only, "dry_run": dry_run}
    with connect(options) as client:
        answer = client.call("realm/prune", params)
    if options.json:
        output.document(answer)
        return
    for row in answer["pruned"]:
        output.text(f"{row['realm_id']}\n")
    output.note(f"{len(answer['pruned'])} {'would be ' if dry_run else ''}moved to the trash")


@app.command(cls=Leaf)
def trash(
    ctx: typer.Context,
    empty: Annotated[bool, typer.Option("--empty", help="Delete for good what is there.")] = False,
    hours: Annotated[
        float,
        typer.Option("--older-than-hours", metavar="H", min=0, help="With --empty: only what was deleted so long ago."),
    ] = 0.0,
) -> None:
    """List the trash, or empty it."""
    options = Options.of(ctx)
    with connect(options) as client:
        rows = client.call("realm/empty_trash", {"older_than_hours": hours}) if empty else client.call("realm/trash")
    if options.json:
        output.document(rows)
        return
    if rows["trash"]:
        table.show(
            ("REALM", "BACKEND", "DELETED", "SIZE", "IN THE TRASH"),
            [
                (
                    row.get("realm_id", "-"),
                    row.get("backend", "-"),
                    clock(row["deleted_at"]),
                    f"{row['bytes_on_disk'] / 1e6:.1f} MB",
                    row["trash_id"],
                )
                for row in rows["trash"]
            ],
            right=(3,),
        )
    if empty:
        output.note(f"{len(rows['trash'])} deleted for good")
    elif not rows["trash"]:
        output.note("The trash is empty.")


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
