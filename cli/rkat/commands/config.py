"""`rkat config`: what sessions of a realm are built with."""

import json
from typing import Annotated, Any, Literal

import typer

from .. import output
from ..connection import connect
from ..options import Options
from ..tree import BRANCH, Leaf

app = typer.Typer(**BRANCH, help="See and change what a realm's sessions are built with: model, prompt, keys, limits.")

SourceArgument = Annotated[
    str | None, typer.Argument(metavar="SOURCE", help="A TOML or JSON file, - for stdin, or JSON in quotes.")
]
TomlOption = Annotated[str | None, typer.Option("--toml", metavar="TEXT", help="The config itself, as TOML.")]
ExpectedOption = Annotated[
    int | None, typer.Option("--expected-generation", metavar="N", min=0, help="Refuse if it has another generation.")
]
KeyOption = Annotated[
    str | None, typer.Option("--idempotency-key", metavar="KEY", help="Repeating with the same key changes it once.")
]


@app.command(cls=Leaf)
def get(
    ctx: typer.Context,
    # In the contract's order: `typing` may give this one for that one, and help would show either.
    form: Annotated[
        Literal["json", "toml"] | None, typer.Option("--format", help="Default: toml; json with --effective.")
    ] = None,
    with_generation: Annotated[bool, typer.Option("--with-generation", help="Also show its generation.")] = False,
    effective: Annotated[
        bool, typer.Option("--effective", help="Show all that counts: with your own config and the defaults.")
    ] = False,
) -> None:
    """Show the realm's config, without its secrets."""
    options = Options.of(ctx)
    as_toml = not options.json and (form == "toml" or (form is None and not effective))
    with connect(options) as client:
        params = {**({"format": "toml"} if as_toml else {}), **({"effective": True} if effective else {})}
        envelope = client.call("config/get", params)
    if as_toml:
        head = f"# generation = {envelope['generation']}\n" if with_generation else ""
        text = envelope["toml"]
        output.text(head + text + ("" if not text or text.endswith("\n") else "\n"))
    elif options.json:
        output.document(envelope)
    elif with_generation:
        output.document({key: envelope[key] for key in ("config", "generation", "realm_id", "instance_id", "backend")})
    else:
        output.document(envelope["config"])


@app.command("set", cls=Leaf)
def set_config(
    ctx: typer.Context,
    source: SourceArgument = None,
    toml: TomlOption = None,
    expected_generation: ExpectedOption = None,
    idempotency_key: KeyOption = None,
) -> None:
    """Replace the realm's config. Comments of a TOML source are kept."""
    from ..config_source import read_source

    given = read_source(source, toml)
    document = {"config": given.tree()} if given.is_json else {"toml": given.text}
    _write(ctx, "config/set", document, expected_generation, idempotency_key)


@app.command(cls=Leaf)
def patch(
    ctx: typer.Context,
    source: SourceArgument = None,
    toml: TomlOption = None,
    expected_generation: ExpectedOption = None,
    idempotency_key: KeyOption = None,
) -> None:
    """Change some keys of the realm's config; null in JSON removes one."""
    from ..config_source import read_source

    document = {"patch": read_source(source, toml).tree()}
    _write(ctx, "config/patch", document, expected_generation, idempotency_key)


def _write(ctx: typer.Context, method: str, document: dict[str, Any], expected: int | None, key: str | None) -> None:
    options = Options.of(ctx)
    params = dict(document)
    if expected is not None:
        params["expected_generation"] = expected
    if key is not None:
        params["idempotency_key"] = key
    with connect(options) as client:
        _written(options, client.call(method, params))


def _written(options: Options, envelope: dict[str, Any]) -> None:
    if options.json:
        output.document(envelope)
    else:
        print(f"generation={envelope['generation']}")


@app.command(cls=Leaf)
def edit(ctx: typer.Context) -> None:
    """Change the realm's config in your editor (VISUAL or EDITOR)."""
    from ..config_edit import edit as run_editor

    options = Options.of(ctx)
    with connect(options) as client:
        envelope = run_editor(client)
        if envelope is None:
            envelope = client.call("config/get")
            output.note("Nothing was changed.")
        _written(options, envelope)


@app.command(cls=Leaf)
def diff(ctx: typer.Context, source: SourceArgument = None, toml: TomlOption = None) -> None:
    """Show what SOURCE would change; without one, what this realm's config changes beside a fresh realm."""
    from ..config_diff import differences, lines
    from ..config_source import read_source

    options = Options.of(ctx)
    compared = None if source is None and toml is None else read_source(source, toml).tree()
    with connect(options) as client:
        mine = client.call("config/get", {} if compared is not None else {"effective": True})["config"]
    if compared is None:
        fresh = options._replace(realm=None, workspace=None, isolated=True, realm_backend=None)
        with connect(fresh) as client:
            plain = client.call("config/get", {"effective": True})["config"]
        rows = differences(plain, mine)
    else:
        rows = differences(mine, compared)
    if options.json:
        output.document({"differences": rows})
        return
    for line in lines(rows):
        output.text(f"{line}\n")
    if not rows:
        output.note("No difference.")


@app.command(cls=Leaf)
def schema(ctx: typer.Context) -> None:
    """Show every key that a config may have, as JSON Schema."""
    options = Options.of(ctx)
    with connect(options) as client:
        found = client.call("config/schema")["schema"]
    if options.json:
        output.document(found)
    else:
        print(json.dumps(found, indent=2))
