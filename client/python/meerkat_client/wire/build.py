"""Which copy of the program this is: when its files were put there.

The version alone does not tell that the same one was installed again, or elsewhere. Compared between a daemon that runs
and what is installed now, it tells whether a restart would change anything. One file stands for all of them, because a
package is installed as a whole; who works on the sources restarts when it suits them.
"""

import os

from . import version


def build_id() -> str:
    """Some hex digits, to be compared and nothing else."""
    path = version.__file__
    return f"{os.stat(path).st_mtime_ns // 1000:x}" if path else "unknown"
