"""Memory given back to the system when nobody is there.

Freed memory stays with the allocator, for the next turn. glibc gives whole pages back when it is asked to; other
allocators do so by themselves, or not at all.
"""

import gc


def give_memory_back() -> None:
    """Collect garbage, and let glibc return what is free. Takes some tens of milliseconds."""
    gc.collect()
    # Here and not above: loading it costs half a megabyte, which a daemon that is never idle need not pay.
    import ctypes

    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
