"""`rkat daemon`: the process behind all of this."""

from typing import Annotated, Any

import typer

from meerkat_client.errors import RkatError
from meerkat_client.wire.paths import places

from .. import output, table
from ..connection import connect
from ..options import Options
from ..times import duration
from ..tree import BRANCH, Leaf

app = typer.Typer(**BRANCH, help="See, start and stop the daemon that owns all sessions.")

# What `status` exits with when no daemon runs: systemctl's word for it, "program is not running" of the LSB.
EXIT_NOT_RUNNING = 3

Deadline = Annotated[
    float | None,
    typer.Option("--deadline", min=0, max=3600, metavar="SECONDS",
                 help="How long running turns may go on; they are interrupted and kept then."),
]  # fmt: skip


@app.command(cls=Leaf)
def status(ctx: typer.Context) -> None:
    """Show what the daemon is and holds. Starts nothing; exits with 3 when none runs."""
    options = Options.of(ctx)
    found = _status(options)
    if found is None:
        where = places(options.state_root)
        if options.json:
            output.document({"running": False, "state_root": where.state_root, "log_path": where.log_path})
        else:
            print("not running; the next command that needs it starts it")
            table.fields((("state root", where.state_root), ("log", where.log_path)))
        raise typer.Exit(EXIT_NOT_RUNNING)
    if options.json:
        output.document({"running": True, **found})
        return
    process = found["process"]
    children = ", ".join(f"{child['name']} ({child['pid']})" for child in process["children"])
    table.fields(
        (
            ("state", found["state"]),
            ("version", found["version"]),
            ("pid", str(process["pid"])),
            ("uptime", duration(found["uptime_seconds"])),
            ("memory", f"{process['rss_bytes'] / 1e6:.1f} MB"),
            ("cpu", f"{process['cpu_seconds']:.1f} s"),
            ("open files", str(process["open_files"])),
            ("threads", str(process["threads"])),
            ("children", children or "none"),
            ("connections", str(found["connections"])),
            ("open realms", str(found["open_realms"])),
            ("turns", str(found["active_turns"])),
            ("socket", found["socket_path"]),
            ("state root", found["state_root"]),
            ("log", found["log_path"]),
            ("metrics", found.get("metrics_url")),
        )
    )


def _status(options: Options) -> dict[str, Any] | None:
    try:
        with connect(options, start=False) as client:
            found: dict[str, Any] = client.call("daemon/status")
            return found
    except RkatError as error:
        if error.code != "DAEMON_UNAVAILABLE":
            raise
        return None


@app.command(cls=Leaf)
def start(ctx: typer.Context) -> None:
    """Start the daemon, unless it runs."""
    options = Options.of(ctx)
    before = _status(options)
    with connect(options) as client:
        pid = client.info["pid"]
    already = before is not None and before["process"]["pid"] == pid
    if options.json:
        output.document({"running": True, "pid": pid, "started": not already})
    else:
        print(f"{'already running' if already else 'started'}, pid {pid}")


@app.command(cls=Leaf)
def stop(ctx: typer.Context, deadline: Deadline = None) -> None:
    """Stop the daemon and wait until it is gone. Running turns may end first, up to a deadline."""
    from ..stopping import stop_daemon

    options = Options.of(ctx)
    pid = stop_daemon(options, deadline)
    if options.json:
        output.document({"running": False, "stopped": pid})
    else:
        print("was not running" if pid is None else f"stopped, pid {pid}")


@app.command(cls=Leaf)
def restart(ctx: typer.Context, deadline: Deadline = None) -> None:
    """Let the daemon go on with the installed program. Running turns may end first, and no client notices more than a
    pause."""
    from ..restarting import restart_daemon

    options = Options.of(ctx)
    pid, before = restart_daemon(options, deadline)
    if options.json:
        output.document({"running": True, "pid": pid, "before": before})
    else:
        print(f"{'started' if before is None else 'restarted'}, pid {pid}")


@app.command(cls=Leaf)
def logs(
    ctx: typer.Context,
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on with what is written from now on.")] = False,
    lines: Annotated[int, typer.Option("-n", "--lines", metavar="N", min=0, help="How many of the last lines.")] = 50,
) -> None:
    """Show the daemon's log. --json gives its lines as they are, one JSON object each."""
    from ..log_view import show

    options = Options.of(ctx)
    show(places(options.state_root).log_path, lines=lines, follow=follow, raw=options.json)
