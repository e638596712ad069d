"""The config of a realm: read, replace, patch, watch."""

from typing import Annotated, Any, Literal, NotRequired

from pydantic import AfterValidator, Field, model_validator
from typing_extensions import TypedDict

from .base import IdempotencyKey, JsonObject, Params, ShortText, Text

# A config is written by a person; with a long system prompt in it, it has some 20 KiB.
MAX_CONFIG_BYTES = 128 * 1024
# Deeper than any provider's parameters.
MAX_CONFIG_DEPTH = 24


def plain_tree(tree: dict[str, Any], *, where: str = "") -> dict[str, Any]:
    """`tree` as it is, if JSON can say it.

    Raises:
        ValueError: naming the path of what JSON, or a text file, cannot hold.
    """
    _check_node(tree, (where,) if where else ())
    return tree


def _check_node(node: Any, path: tuple[str, ...]) -> None:
    if len(path) > MAX_CONFIG_DEPTH:
        raise ValueError(f"is nested more than {MAX_CONFIG_DEPTH} levels deep")
    here = ".".join(path)
    match node:
        case None | bool():
            return
        case int():
            if not -(2**63) <= node < 2**63:
                raise ValueError(f"{here} must fit into 64 bits")
        case str():
            _check_text(node, here)
        case float():
            if node != node or node in (float("inf"), float("-inf")):
                raise ValueError(f"{here} must be a finite number")
        case list():
            for place, each in enumerate(node):
                _check_node(each, (*path, str(place)))
        case dict():
            for key, each in node.items():
                if not isinstance(key, str):
                    raise ValueError(f"{here} must have texts as its keys")
                _check_text(key, here)
                _check_node(each, (*path, key))
        case _:
            raise ValueError(f"{here} must be text, a number, true or false, a list or an object")


def _check_text(text: str, here: str) -> None:
    # A lone surrogate, which JSON can spell and UTF-8 cannot; and NUL, as for every text of ours.
    if "\0" in text or (not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text)):
        raise ValueError(f"{here or 'a text'} must not contain U+0000 or a lone surrogate")


ConfigTree = Annotated[JsonObject, AfterValidator(plain_tree)]
ConfigText = Annotated[Text, Field(max_length=MAX_CONFIG_BYTES)]
ExpectedGeneration = Annotated[
    int, Field(ge=0, description="Refuse with CONFIG_CONFLICT unless the config has this generation.")
]


class ConfigGet(Params):
    """`config/get`: the realm's own document, or with `effective` all that counts, defaults included."""

    effective: bool = False
    format: Literal["json", "toml"] = Field("json", description="With `toml` the reply also has the file's text.")

    @model_validator(mode="after")
    def _text_is_the_realms(self) -> "ConfigGet":
        if self.effective and self.format == "toml":
            raise ValueError("effective and format toml cannot be used together: no file holds the merged config")
        return self


class ConfigSet(Params):
    """`config/set`: replace the document by `config`, or by the text `toml`, comments and all; one of the two.

    A secret is given as text, or as the object that `config/get` shows for it, which keeps what is there.
    """

    config: ConfigTree | None = None
    toml: ConfigText | None = None
    expected_generation: ExpectedGeneration | None = None
    idempotency_key: IdempotencyKey | None = None

    @model_validator(mode="after")
    def _one_document(self) -> "ConfigSet":
        if (self.config is None) == (self.toml is None):
            raise ValueError("give the new document either as config or as toml")
        return self


class ConfigPatch(Params):
    """`config/patch`: a JSON merge patch (RFC 7396); null deletes."""

    patch: ConfigTree
    expected_generation: ExpectedGeneration | None = None
    idempotency_key: IdempotencyKey | None = None


class ConfigSchemaParams(Params):
    """`config/schema`."""


class ConfigWatch(Params):
    """`config/watch`: a `config/changed` for every generation from now on, edits of the file by hand included."""


class ConfigUnwatch(Params):
    """`config/unwatch`."""

    watch_id: ShortText


class ResolvedPaths(TypedDict):
    """Where things are. A realm in memory has neither manifest nor config file."""

    root: str
    realm_path: NotRequired[str]
    manifest_path: NotRequired[str]
    config_path: NotRequired[str]
    sessions_sqlite_path: NotRequired[str]
    user_config_path: str


class ConfigEnvelope(TypedDict):
    """Result of `config/get`, `config/set` and `config/patch`.

    Secrets appear as `{"secret": true, "set": true}`. `generation` is 0 until the first write. A request that repeats
    an idempotency key has `replayed`, the generation that the first one made, and beside it the config of now with
    its `current_generation`.
    """

    config: dict[str, Any]
    generation: int
    realm_id: str
    instance_id: str | None
    backend: str | None
    resolved_paths: ResolvedPaths
    toml: NotRequired[str]
    replayed: NotRequired[bool]
    current_generation: NotRequired[int]


class ConfigSchema(TypedDict):
    """Result of `config/schema`: JSON Schema, draft 2020-12."""

    schema: dict[str, Any]


class ConfigWatched(TypedDict):
    """Result of `config/watch`."""

    watch_id: str
    realm_id: str
    generation: int


class ConfigUnwatched(TypedDict):
    """Result of `config/unwatch`."""

    watch_id: str
    closed: bool


class ConfigChanged(TypedDict):
    """The notification `config/changed`. `problem` is set when the file now says something that cannot be used."""

    watch_id: str
    realm_id: str
    generation: int
    problem: NotRequired[str]


class ConfigWatchEnd(TypedDict):
    """The notification `config/watch_end`: nothing more comes, for the realm was deleted."""

    watch_id: str
    realm_id: str
    outcome: str
