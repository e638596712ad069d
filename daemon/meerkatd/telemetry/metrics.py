"""Metrics, when they were asked for. That they cannot be served is told in the log, and keeps nobody from working."""

import logging

import trio

from .door import serve_page
from .prometheus import Page, ReadGauges

log = logging.getLogger(__name__)


class Metrics:
    """The page for Prometheus.

    Attributes:
        url: of the page; None while there is none.
    """

    def __init__(self, address: tuple[str, int] | None) -> None:
        self._address = address
        self.url: str | None = None

    async def start(self, read_gauges: ReadGauges, nursery: trio.Nursery) -> None:
        """Serve the page in `nursery`, if it was asked for."""
        if self._address is None:
            return
        try:
            page = await trio.to_thread.run_sync(Page, read_gauges)
            port = await nursery.start(serve_page, self._address, page.text)
        except ImportError:
            log.error("no metrics: their library is missing; pip install 'meerkatd[metrics]'")
            return
        except OSError as error:
            log.error("no metrics: the address cannot be used: %s", error)
            return
        host = f"[{self._address[0]}]" if ":" in self._address[0] else self._address[0]
        self.url = f"http://{host}:{port}/metrics"
        log.info("metrics", extra={"url": self.url})
