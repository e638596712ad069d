"""Where a session's lines are in its file: 8 bytes for a message or a charge, 16 for a turn. No I/O here.

Made by one pass over the file when a session is first read, and kept up by its writes from then on.
"""

from array import array


class Offsets:
    """Attributes:
    messages: of message `seq`.
    begun, ended: of the lines that began and ended turn `ordinal`; 0 while it is not ended.
    tools: of the lines about tool calls, by the turn's ordinal.
    charges: of charges, in the order of recording.
    """

    __slots__ = ("begun", "charges", "ended", "messages", "tools")

    def __init__(self) -> None:
        self.messages = array("Q")
        self.begun = array("Q")
        self.ended = array("Q")
        self.tools: dict[int, array[int]] = {}
        self.charges = array("Q")

    def apply(self, kind: str, ordinal: int, offset: int) -> None:
        if kind == "message":
            self.messages.append(offset)
        elif kind == "turn":
            self.begun.append(offset)
            self.ended.append(0)
        elif kind == "turn_end":
            self.ended[ordinal] = offset
        elif kind == "tool":
            self.tools.setdefault(ordinal, array("Q")).append(offset)
        elif kind == "charge":
            self.charges.append(offset)
