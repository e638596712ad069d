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
    service = _service(options)
    # Connecting to a socket that the manager holds would start what is only to be looked at.
    rests = service.get("process") in ("inactive", "failed")
    found = None if rests else _status(options)
    if found is None:
        where = places(options.state_root)
        if options.json:
            about = {"state_root": where.state_root, "log_path": where.log_path}
            output.document({"running": False, **about, "service": service})
        else:
            print("not running; the next command that needs it starts it")
            table.fields((("state root", where.state_root), ("log", where.log_path), *_fields_of(service)))
        raise typer.Exit(EXIT_NOT_RUNNING)
    if options.json:
        output.document({"running": True, **found, "service": service})
        return
    process = found["process"]
    children = ", ".join(f"{child['name']} ({child['pid']})" for child in process["children"])
    table.fields(
        (
            ("state", "safe mode" if found.get("safe_mode") else found["state"]),
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
            *_fields_of(service),
        )
    )


def _service(options: Options) -> dict[str, str]:
    from ..service.service import service_state

    return service_state(options)


def _fields_of(service: dict[str, str]) -> list[tuple[str, str]]:
    if service["service"] == "not installed":
        return []
    said = ", ".join(f"{name} {service[name]}" for name in ("socket", "process", "enabled") if name in service)
    return [("service", service["service"]), ("unit", service["unit"]), ("manager", service.get("problem") or said)]


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


Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would be done, and do nothing.")]


@app.command(cls=Leaf)
def install(
    ctx: typer.Context,
    sandbox: Annotated[
        bool, typer.Option("--sandbox", help="Make everything but its data read-only for it, and for its tools.")
    ] = False,
    yes: Yes = False,
    dry_run: DryRun = False,
) -> None:
    """Install the daemon as a service of your account, under systemd or launchd. Shows what it does, and asks."""
    from ..service.service import install as install_service

    options = Options.of(ctx)
    changed = install_service(options, sandbox=sandbox, yes=yes, dry_run=dry_run)
    _say_of_service(options, changed, dry_run, "installed", "already installed")


@app.command(cls=Leaf)
def uninstall(ctx: typer.Context, yes: Yes = False, dry_run: DryRun = False) -> None:
    """Take the service away, and leave nothing of it. Sessions stay. Shows what it does, and asks."""
    from ..service.service import uninstall as uninstall_service

    options = Options.of(ctx)
    changed = uninstall_service(options, yes=yes, dry_run=dry_run)
    _say_of_service(options, changed, dry_run, "uninstalled", "was not installed")


def _say_of_service(options: Options, changed: bool, dry_run: bool, done: str, nothing: str) -> None:
    if options.json:
        output.document({"changed": changed and not dry_run, "would_change": changed})
    elif changed and dry_run:
        print("nothing was done")
    else:
        print(done if changed else nothing)


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
