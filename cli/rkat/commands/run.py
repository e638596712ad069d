"""`rkat run`: a new session and its first turn."""

import sys
from typing import Annotated, Any, Literal

import typer

from meerkat_client.errors import RkatError

from .. import local_setup, output
from ..answer import AnswerView
from ..budgets import MaxCost, MaxDuration, MaxToolCalls, MaxTotalTokens, SessionBudget, params_of
from ..connection import connect
from ..images import with_images
from ..options import Options
from ..pairs import parse_labels
from ..prompts import read_prompt
from ..references import name_from_here
from ..schemas import read_schema
from ..terminal import is_terminal
from ..text_file import read_text
from ..tree import BRANCH, Leaf
from ..turns import TurnOf

app = typer.Typer(**BRANCH)

# As in the config; a longer one is a file named by mistake.
MAX_SYSTEM_PROMPT = 256 * 1024

PromptArgument = Annotated[
    str | None, typer.Argument(metavar="[PROMPT]", help="The prompt, in quotes; `-` reads it from stdin.")
]
Model = Annotated[str | None, typer.Option("--model", "-m", metavar="NAME", help="Model, as in `rkat models`.")]
Provider = Annotated[
    str | None, typer.Option("--provider", "-p", metavar="NAME", help="anthropic, openai, gemini, local or a server.")
]
MaxTokens = Annotated[
    int | None, typer.Option("--max-tokens", min=1, metavar="N", help="Limit for each answer of the model.")
]
Temperature = Annotated[
    float | None, typer.Option("--temperature", metavar="T", min=0, max=2, help="Randomness, 0 to 2.")
]
Stream = Annotated[
    bool | None,
    typer.Option("--stream/--no-stream", help="Write the answer as it arrives (default: on a terminal)."),
]
Schema = Annotated[
    str | None,
    typer.Option("--schema", metavar="FILE|JSON", help="JSON Schema of the answer; stdout gets JSON that fits it."),
]
SchemaRetries = Annotated[
    int | None,
    typer.Option(
        "--schema-retries", min=0, max=10, metavar="N", help="Ask again so often for an answer that fits (default 2)."
    ),
]
Key = Annotated[
    str | None,
    typer.Option(
        "--idempotency-key", metavar="KEY", help="The same key with the same request gives the first outcome again."
    ),
]
Tools = Annotated[
    Literal["none", "safe", "workspace", "full"] | None,
    typer.Option(
        "--tools",
        "-t",
        help="What built-in tools may do: read files (safe), also write them (workspace), also run commands (full).",
    ),
]
Instructions = Annotated[
    list[str] | None,
    typer.Option("--instructions", metavar="TEXT", help="Say this with the system prompt, too; repeatable."),
]
Images = Annotated[
    list[str] | None,
    typer.Option("--image", metavar="FILE", help="An image for the model to see: PNG, JPEG, GIF, WebP; repeatable."),
]
Stdin = Annotated[
    Literal["auto", "off"], typer.Option("--stdin", help="`off` leaves a pipe alone when there is a prompt.")
]


@app.command(cls=Leaf)
def run(
    ctx: typer.Context,
    prompt: PromptArgument = None,
    model: Model = None,
    provider: Provider = None,
    system: Annotated[
        str | None, typer.Option("--system", metavar="TEXT", help="System prompt of the session.")
    ] = None,
    system_file: Annotated[
        str | None, typer.Option("--system-file", metavar="FILE", help="The same from a file.")
    ] = None,
    image: Images = None,
    instructions: Instructions = None,
    project_instructions: Annotated[
        bool | None,
        typer.Option(
            "--project-instructions/--no-project-instructions",
            help="Take AGENTS.md of the workspace into the system prompt (default: the config's, else no).",
        ),
    ] = None,
    max_tokens: MaxTokens = None,
    temperature: Temperature = None,
    max_duration: MaxDuration = None,
    max_tool_calls: MaxToolCalls = None,
    max_total_tokens: MaxTotalTokens = None,
    max_cost: MaxCost = None,
    session_budget: SessionBudget = None,
    tools: Tools = None,
    label: Annotated[
        list[str] | None, typer.Option("--label", "--session-label", metavar="K=V", help="Label; repeatable.")
    ] = None,
    schema: Schema = None,
    schema_retries: SchemaRetries = None,
    stream: Stream = None,
    deferred: Annotated[
        bool, typer.Option("--deferred", help="Only store session and prompt; `rkat resume` runs the first turn.")
    ] = False,
    stdin: Stdin = "auto",
    idempotency_key: Key = None,
) -> None:
    """Start a session with a prompt and show the answer.

    The answer goes to stdout, everything else to stderr. Ctrl-C stops the turn and keeps what was produced; once more
    leaves at once.
    """
    options = Options.of(ctx)
    params: dict[str, Any] = {
        "prompt": with_images(read_prompt(prompt, stdin=stdin), image or ()),
        "model": model,
        "provider": provider,
        "system_prompt": _system_prompt(system, system_file),
        "additional_instructions": instructions or None,
        "project_instructions": project_instructions,
        "max_tokens": max_tokens,
        "temperature": temperature,
        **params_of(
            max_duration=max_duration,
            max_tool_calls=max_tool_calls,
            max_total_tokens=max_total_tokens,
            max_cost=max_cost,
            session_budget=session_budget,
        ),
        "output_schema": read_schema(schema),
        "structured_output_retries": schema_retries,
        "tools": tools,
        "workspace": options.folder(),
        "labels": parse_labels(label or ()) or None,
        "initial_turn": "deferred" if deferred else None,
        "idempotency_key": idempotency_key,
    }
    params = {name: value for name, value in params.items() if value is not None}
    local_setup.prepare(model, provider)
    try:
        _create(options, params, stream=stream)
    except RkatError as error:
        if error.code != "PROVIDER_NOT_CONFIGURED" or model or provider or options.json or not local_setup.offer(error):
            raise
        _create(options, {**params, "model": local_setup.OFFERED}, stream=stream)


def _system_prompt(text: str | None, file: str | None) -> str | None:
    if text is not None and file is not None:
        raise RkatError("INVALID_PARAMS", "--system and --system-file cannot be used together.", hint="Leave one out.")
    return text if file is None else read_text(file, what="system prompt", limit=MAX_SYSTEM_PROMPT)


def _create(options: Options, params: dict[str, Any], *, stream: bool | None) -> None:
    if params.get("initial_turn") == "deferred":
        _create_deferred(options, params)
    else:
        run_turn(options, "session/create", params, stream=stream)


def _create_deferred(options: Options, params: dict[str, Any]) -> None:
    with connect(options) as client:
        result = client.call("session/create", params)
    if options.json:
        output.document(result)
        return
    realm = result["session_ref"].partition(":")[0]
    name = name_from_here(result["session_id"], realm_id=realm, reference=None, isolated=options.isolated)
    print(name)
    output.note(f'stored; run its first turn with: rkat resume{options.again()} {name} "..."')


def run_turn(
    options: Options, method: str, params: dict[str, Any], *, stream: bool | None, reference: str | None = None
) -> None:
    """Run a turn and show it: `session/create` or `turn/start`.

    Args:
        stream: None for the default: on a terminal.
        reference: the session, as the user named it.

    Raises:
        RkatError: what the daemon answers.
    """
    # An answer that has to fit a schema may be asked for again: only the one that fits is for stdout.
    streaming = is_terminal(sys.stdout) and "output_schema" not in params if stream is None else stream
    view = AnswerView(stream=streaming, verbose=options.verbose, quiet=options.json, again=options.again())
    with connect(options, reference=reference) as client:
        turn = TurnOf(client, view, options, reference=reference)
        result = turn.run(method, params)
        if options.json:
            output.document(result)
            return
        view.finish(output.rendered(result["structured_output"]) if "structured_output" in result else result["text"])
        turn.footer(result)
