"""`rkat models`: which models can be used, and fetching a local one."""

import sys
from typing import Annotated, Any

import typer

from .. import output
from ..connection import connect
from ..options import Options
from ..terminal import Style, visible_line
from ..tree import BRANCH, Leaf

app = typer.Typer(**BRANCH, help="See which models can be used, and fetch a local one.")


@app.callback(invoke_without_command=True)
def models(ctx: typer.Context) -> None:
    if ctx.invoked_subcommand is None:
        list_models(ctx)


@app.command("list", cls=Leaf)
def list_models(ctx: typer.Context) -> None:
    """List the known models, and say what is missing for those that cannot be used."""
    options = Options.of(ctx)
    with connect(options) as client:
        catalog = client.call("models/catalog")
    if options.json:
        output.document(catalog)
        return
    default = catalog.get("default", {}).get("model")
    for provider in catalog["providers"]:
        _show_provider(provider, default)
    if default is None:
        output.note("No model can be used yet: set a provider's key, or run `rkat models pull smollm2`.")


def _show_provider(provider: dict[str, Any], default: str | None) -> None:
    style = Style(sys.stdout)
    note = visible_line(provider.get("note", "not ready"))
    state = style.green("ready") if provider["configured"] else style.dim(note)
    print(f"{style.bold(visible_line(provider['provider']))}  {state}")
    for model in provider["models"]:
        names = (model["id"], f"{provider['provider']}/{model['id']}")
        mark = "  (default)" if default in names else ""
        window = f"  {model['context_window']} tokens" if "context_window" in model else ""
        print(f"  {visible_line(model['id'])}{style.dim(window)}{mark}")


@app.command(cls=Leaf)
def pull(
    ctx: typer.Context,
    model: Annotated[str, typer.Argument(metavar="MODEL", help="As in `local/MODEL`: smollm2.")],
) -> None:
    """Fetch a local model, which needs no key and no network afterwards."""
    from meerkat_client import model_files

    from ..local_setup import ensure_model, runtime_is_there, runtime_missing

    options = Options.of(ctx)
    name = model.removeprefix("local/")
    fetched = ensure_model(name)
    path = str(model_files.path_of(name))
    if options.json:
        output.document({"model": f"local/{name}", "path": path, "fetched": fetched})
        return
    print(f"{path}{'' if fetched else ' (was there already)'}")
    if runtime_is_there():
        output.note(f'use it with: rkat -m local/{name} "..."')
    else:
        missing = runtime_missing()
        output.note(f"{missing.message} {missing.hint}")
