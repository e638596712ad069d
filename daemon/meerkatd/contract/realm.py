"""Realms: the only key by which sessions and config are shared or kept apart."""

from typing import Annotated, NotRequired

from pydantic import Field, model_validator
from typing_extensions import TypedDict

from .base import Params, ShortText, Text
from .connection import BackendName
from .finding import Finding


class RealmCurrent(Params):
    """`realm/current`: the realm of this connection, whether it exists on the disk yet or not."""


class RealmList(Params):
    """`realm/list`: every realm below the state root."""


class RealmShow(Params):
    """`realm/show`; without `realm_id`, of this connection's realm."""

    realm_id: ShortText | None = None


class RealmCreate(Params):
    """`realm/create`: make a realm and pin its backend. One that exists with the same backend is left as it is."""

    realm_id: ShortText
    backend: BackendName | None = None


class RealmDelete(Params):
    """`realm/delete`: move it to the trash. `force` interrupts its turns and takes it from other connections."""

    realm_id: ShortText
    force: bool = False


class RealmRestore(Params):
    """`realm/restore`: back from the trash, by `trash_id`, or by `realm_id` the one that was deleted last."""

    realm_id: ShortText | None = None
    trash_id: ShortText | None = None

    @model_validator(mode="after")
    def _one_of_them(self) -> "RealmRestore":
        if (self.realm_id is None) == (self.trash_id is None):
            raise ValueError("name either realm_id or trash_id")
        return self


class RealmTrash(Params):
    """`realm/trash`: what is in the trash, newest first."""


class RealmPrune(Params):
    """`realm/prune`: move realms that nobody uses to the trash; those that programs made for themselves, unless
    `isolated_only` is false."""

    older_than_hours: Annotated[float, Field(ge=0, le=1e6)] = Field(
        24.0, description="Only realms in which nothing has been written for this long."
    )
    isolated_only: bool = True
    dry_run: bool = False


class RealmEmptyTrash(Params):
    """`realm/empty_trash`: delete for good what is in the trash. Cannot be undone."""

    trash_id: ShortText | None = Field(None, description="Only this one.")
    older_than_hours: Annotated[float, Field(ge=0, le=1e6)] = Field(
        0.0, description="Only what was deleted at least this long ago."
    )


Path = Annotated[Text, Field(min_length=1, max_length=4096, description="Absolute, on the daemon's machine.")]


class RealmBackup(Params):
    """`realm/backup`: a copy of the realm's folder as of one moment, config and its secrets included. Turns go on."""

    realm_id: ShortText | None = Field(None, description="The default is this connection's realm.")
    path: Path


class RealmRestoreBackup(Params):
    """`realm/restore_backup`: make a realm of a backup. Its id must be free."""

    path: Path
    realm_id: ShortText | None = Field(None, description="The default is the id that it had.")


class RealmExport(Params):
    """`realm/export`: write the realm into one file that every backend takes. Turns go on."""

    realm_id: ShortText | None = Field(None, description="The default is this connection's realm.")
    path: Path
    secrets: bool = Field(
        False, description="Whether keys of providers, and variables and headers of MCP servers, go along."
    )


class RealmImport(Params):
    """`realm/import`: make a realm of an exported file. Its id must be free."""

    path: Path
    realm_id: ShortText | None = Field(None, description="The default is the id that it had.")
    backend: BackendName | None = Field(None, description="The default is the backend that it had.")


class RealmCheck(Params):
    """`realm/check`: read a realm through: manifest, config, store, blobs, shared messages. Turns go on meanwhile."""

    realm_id: ShortText | None = Field(None, description="The default is this connection's realm.")


class RealmConvert(Params):
    """`realm/convert`: give a realm another backend; its files of before go to the trash. REALM_IN_USE while turns run.

    Sessions and their digests stay the same.
    """

    realm_id: ShortText | None = Field(None, description="The default is this connection's realm.")
    to: BackendName


class RealmInfo(TypedDict):
    """A realm. `created_at` is in Unix seconds; `connections` and `active_turns` are those of this daemon right now."""

    realm_id: str
    exists: bool
    origin: str
    backend: NotRequired[str]
    created_at: NotRequired[int]
    path: NotRequired[str]
    connections: int
    active_turns: int
    open: bool


class RealmDetails(RealmInfo):
    sessions: NotRequired[int]
    messages: NotRequired[int]
    bytes_on_disk: NotRequired[int]
    format_version: NotRequired[int]
    problem: NotRequired[str]


class TrashedRealm(TypedDict):
    """A realm in the trash. `deleted_at` is in Unix seconds; without `realm_id` its manifest cannot be read."""

    trash_id: str
    realm_id: NotRequired[str]
    backend: NotRequired[str]
    origin: NotRequired[str]
    deleted_at: int
    bytes_on_disk: int
    path: str


class TrashPage(TypedDict):
    """Result of `realm/trash`, and of `realm/empty_trash`: what is there, or what was there and is gone."""

    trash: list[TrashedRealm]


class RealmDeleted(TypedDict):
    """Result of `realm/delete`. `trash_id` is null for a realm in memory, which is gone for good."""

    realm_id: str
    deleted: bool
    trash_id: str | None
    interrupted_turns: int


class RealmPruned(TypedDict):
    """Result of `realm/prune`: what was moved, or with `dry_run` what would be."""

    pruned: list[RealmInfo]
    dry_run: bool


class RealmChecked(TypedDict):
    """Result of `realm/check`: what is well, too. `whole` is false when one of the findings is an error."""

    realm_id: str
    whole: bool
    findings: list[Finding]


class RealmCopied(TypedDict):
    """Result of backing up, restoring, exporting, importing and converting, as read back from what was made.

    `digests` has, for each session, a SHA-256 of all that it is; the same in every backend.
    """

    realm_id: str
    backend: str
    path: str
    sessions: int
    messages: int
    blobs: int
    bytes: int
    digests: dict[str, str]


class UnreadableRealm(TypedDict):
    """A folder of a realm whose manifest cannot be read: nothing can be done with it before it is mended."""

    path: str
    code: str
    message: str
    hint: str


class RealmPage(TypedDict):
    """Result of `realm/list`."""

    realms: list[RealmInfo]
    unreadable: list[UnreadableRealm]
