"""Requests of the client that are not answered yet. No I/O."""

import anyio


class Flights:
    """Counts by id, so that a request which is never answered, because it was taken back, does not count for ever."""

    def __init__(self) -> None:
        self._ids: set[str | int] = set()
        self._landed = anyio.Event()

    def __len__(self) -> int:
        return len(self._ids)

    def begin(self, request_id: str | int) -> None:
        self._ids.add(request_id)

    def end(self, request_id: str | int) -> None:
        """It was answered, or taken back. Ids that are not known are passed over."""
        self._ids.discard(request_id)
        if not self._ids:
            self._landed.set()
            self._landed = anyio.Event()

    async def landed(self) -> None:
        """Wait until nothing is in flight."""
        while self._ids:
            await self._landed.wait()
