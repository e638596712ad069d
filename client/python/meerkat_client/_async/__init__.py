"""The asynchronous client, on anyio: the same code under asyncio and trio. The only part that imports anyio."""
