"""What of a long text is shown: its beginning and its end, and between them how much is missing. No I/O."""


def excerpt(text: str, limit: int) -> str:
    """`text`, or its head and tail within about `limit` characters, cut at ends of lines where there are any near."""
    if len(text) <= limit:
        return text
    head, tail = text[: limit * 2 // 3], text[-(limit // 3) :]
    head = head[: head.rfind("\n") + 1] if "\n" in head[len(head) // 2 :] else head
    tail = tail[tail.find("\n") + 1 :] if "\n" in tail[: len(tail) // 2] else tail
    missing = len(text) - len(head) - len(tail)
    return f"{head.rstrip()}\n[... {missing} characters left out here ...]\n{tail}"


class Ends:
    """The beginning and the end of a stream of bytes, whatever passes between them.

    Args:
        limit: bytes that are kept, half of them of the beginning.
    """

    def __init__(self, limit: int) -> None:
        self._half = limit // 2
        self._head = bytearray()
        self._tail = bytearray()
        self._left_out = 0

    def feed(self, data: bytes | bytearray) -> None:
        room = self._half - len(self._head)
        self._head += data[:room]
        self._tail += data[room:] if room < len(data) else b""
        over = len(self._tail) - self._half
        if over > 0:
            del self._tail[:over]
            self._left_out += over

    def text(self) -> str:
        """What is kept, as text, with a line that tells what is not."""
        head, tail = (bytes(part).decode(errors="replace") for part in (self._head, self._tail))
        if not self._left_out:
            return bytes(self._head + self._tail).decode(errors="replace")
        return f"{head}\n[... {self._left_out} bytes left out here ...]\n{tail}"
