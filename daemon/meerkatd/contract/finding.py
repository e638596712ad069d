"""What an examination found: one thing that was looked at, whether it is well, and if not how to mend it."""

from typing import Literal, NotRequired

from typing_extensions import TypedDict

FindingLevel = Literal["ok", "warning", "error"]


class Finding(TypedDict):
    """One finding.

    `check` names what was looked at, `subject` the file, realm or provider. `code` is the error that a user of it gets,
    for "error"; `mend` is what to do, and is there unless all is well.
    """

    check: str
    level: FindingLevel
    subject: str
    message: str
    code: NotRequired[str]
    mend: NotRequired[str]
