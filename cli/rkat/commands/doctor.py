"""`rkat doctor`: what is wrong, and how to mend it."""

import platform
import sys
from collections.abc import Iterator
from typing import Annotated, Any

import typer

from meerkat_client.errors import RkatError
from meerkat_client.wire.faults import WireError
from meerkat_client.wire.paths import places
from meerkat_client.wire.version import VERSION

from .. import output
from ..options import Options
from ..terminal import Style, visible_line
from ..tree import BRANCH, Leaf

app = typer.Typer(**BRANCH, help="Say what is wrong, and how to mend it.")

EXIT_WRONG = 1
# Realms and providers that are well are counted, not listed, beyond so many.
_LISTED = 5


@app.command(cls=Leaf)
def doctor(
    ctx: typer.Context,
    start: Annotated[bool, typer.Option(help="Start the daemon when it does not run: can it?")] = True,
    providers: Annotated[bool, typer.Option(help="Ask each provider that has a key for its models.")] = True,
    stores: Annotated[bool, typer.Option(help="Read each realm's store from end to end.")] = True,
) -> None:
    """Look for what is wrong with the daemon and what it depends on, and say how to mend it.

    Changes nothing, but that it starts the daemon when none runs. Exits with 1 when something is wrong; warnings
    do not count.
    """
    options = Options.of(ctx)
    findings = []
    for finding in _findings(options, start=start, providers=providers, stores=stores):
        findings.append(finding)
        if not options.json:
            _show(finding, findings)
    errors = sum(finding["level"] == "error" for finding in findings)
    warnings = sum(finding["level"] == "warning" for finding in findings)
    if options.json:
        output.document({"findings": findings, "errors": errors, "warnings": warnings})
    else:
        _summary(findings, errors, warnings)
    if errors:
        raise typer.Exit(EXIT_WRONG)


def _findings(options: Options, *, start: bool, providers: bool, stores: bool) -> Iterator[dict[str, Any]]:
    from ..doctor.finding import well, wrong
    from ..doctor.folders import folders
    from ..doctor.inside import inside
    from ..doctor.owner import owner
    from ..doctor.unit import unit

    yield well("program", f"rkat {VERSION}", f"Python {platform.python_version()} at {sys.executable}")
    try:
        where = places(options.state_root)
        yield from folders(where)
        yield from unit(options)
        yield from owner(where)
    except (WireError, RkatError) as error:
        yield wrong("runtime_dir", "socket", error.message, code=error.code, mend=error.hint)
        return
    yield from inside(options, start=start, providers=providers, stores=stores)


def _show(finding: dict[str, Any], findings: list[dict[str, Any]]) -> None:
    style = Style(sys.stdout)
    level = finding["level"]
    alike = sum(each["check"] == finding["check"] and each["level"] == "ok" for each in findings)
    if level == "ok" and alike > _LISTED:
        return
    mark = {"ok": style.green("✓"), "warning": style.bold("!"), "error": style.red("✗")}[level]
    code = f" {style.dim('(' + finding['code'] + ')')}" if "code" in finding else ""
    text = f"{visible_line(finding['subject'])}: {visible_line(finding['message'])}"
    print(f"{mark} {style.bold(finding['check'])}  {text}{code}")
    if "mend" in finding:
        print(f"    → {visible_line(finding['mend'])}")
    sys.stdout.flush()


def _summary(findings: list[dict[str, Any]], errors: int, warnings: int) -> None:
    well = len(findings) - errors - warnings
    if not errors and not warnings:
        output.note(f"All is well: {well} things looked at.")
        return
    output.note(f"{errors} wrong, {warnings} to look at, {well} well.")
