"""Who is at the other end of a Unix socket, as the kernel tells it. Checked by both sides.

On the client's side the answer names the process that called listen(), so a squatter on our socket's name is found
out before anything is sent. Measured: a peer that is root in its own user namespace is seen with its outer uid.
"""

import socket
import struct
import sys
from typing import NamedTuple

# macOS, <sys/un.h>: level and names are not in the socket module. struct xucred is version, uid, number of groups
# and 16 groups; 76 bytes.
_SOL_LOCAL = 0
_LOCAL_PEERCRED = 1
_LOCAL_PEERPID = 2
_XUCRED_BYTES = 76


class Credentials(NamedTuple):
    """The process and user at the other end. `pid` is None where the kernel does not tell."""

    pid: int | None
    uid: int


def peer_credentials(sock: socket.socket) -> Credentials:
    """Credentials of the peer of a connected Unix socket.

    Raises:
        OSError: not a connected Unix socket.
    """
    if sys.platform == "darwin":
        _, uid = struct.unpack_from("=II", sock.getsockopt(_SOL_LOCAL, _LOCAL_PEERCRED, _XUCRED_BYTES))
        return Credentials(sock.getsockopt(_SOL_LOCAL, _LOCAL_PEERPID), uid)
    pid, uid, _ = struct.unpack("3i", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")))
    return Credentials(pid or None, uid)
