"""`rkat blob`: images and other bytes that messages name."""

import os
import sys
from base64 import b64decode
from typing import Annotated

import typer

from meerkat_client.errors import RkatError

from .. import output
from ..connection import connect
from ..options import Options
from ..terminal import is_terminal
from ..tree import BRANCH, Leaf

app = typer.Typer(**BRANCH, help="Get the images and other bytes that messages name.")


@app.callback()
def blob() -> None:
    """Makes `get` a command of its own, which a single one would not be."""


@app.command(cls=Leaf)
def get(
    ctx: typer.Context,
    blob_id: Annotated[str, typer.Argument(metavar="ID", help="As the message names it: sha256:...")],
    to: Annotated[str | None, typer.Option("--output", metavar="FILE", help="Write there instead of stdout.")] = None,
) -> None:
    """Write a blob's bytes to stdout or into a file. With --json, the document that has them as base64."""
    options = Options.of(ctx)
    if to is None and not options.json and is_terminal(sys.stdout):
        raise RkatError(
            "INVALID_PARAMS", "A terminal cannot show a blob.", hint="Name a file with --output, or use a pipe."
        )
    with connect(options) as client:
        found = client.call("blob/get", {"blob_id": blob_id})
    data = b64decode(found["data"])
    if to is not None:
        _write(to, data)
    if options.json:
        output.document(found)
    elif to is None:
        sys.stdout.buffer.write(data)
    else:
        output.note(f"{len(data)} bytes of {found['media_type']} written to {to}")


def _write(path: str, data: bytes) -> None:
    try:
        with open(path, "wb") as file:
            file.write(data)
    except OSError as error:
        raise RkatError(
            "STORAGE_ERROR", f"{path} cannot be written: {os.strerror(error.errno or 0).lower()}."
        ) from None
