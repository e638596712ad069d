"""Sockets of launchd, by `launch_activate_socket` of its library: the only way to get at them.

    int launch_activate_socket(const char *name, int **fds, size_t *count);

It returns an errno, and an array that the caller frees. ESRCH: this process is not launchd's; ENOENT: the plist names
no such socket. Who is not started by launchd has no XPC_SERVICE_NAME, or a 0 in it, and need not load ctypes to know.
"""

import errno
import os
import socket

# The key below `Sockets` in the plist.
SOCKET_NAME = "Listeners"
_NOT_OURS = frozenset((errno.ESRCH, errno.ENOENT, errno.EALREADY))


def activated_sockets() -> tuple[socket.socket, ...]:
    """The listening sockets that launchd made for this process; none elsewhere."""
    if os.environ.get("XPC_SERVICE_NAME", "0") == "0":
        return ()
    return sockets_of_library(None)


def sockets_of_library(path: str | None) -> tuple[socket.socket, ...]:
    """The sockets that the library at `path` gives; None for what is loaded already, which is where the system has it.

    Raises:
        OSError: it refuses for another reason than that there are none.
    """
    import ctypes

    library = ctypes.CDLL(path)
    activate = getattr(library, "launch_activate_socket", None)
    if activate is None:
        return ()
    activate.argtypes = (
        ctypes.c_char_p,
        ctypes.POINTER(ctypes.POINTER(ctypes.c_int)),
        ctypes.POINTER(ctypes.c_size_t),
    )
    activate.restype = ctypes.c_int
    descriptors, count = ctypes.POINTER(ctypes.c_int)(), ctypes.c_size_t()
    refused = activate(SOCKET_NAME.encode(), ctypes.byref(descriptors), ctypes.byref(count))
    if refused in _NOT_OURS:
        return ()
    if refused:
        raise OSError(refused, os.strerror(refused))
    found = [descriptors[index] for index in range(count.value)]
    free = ctypes.CDLL(None).free
    free.argtypes, free.restype = (ctypes.c_void_p,), None
    free(descriptors)
    sockets = []
    for descriptor in found:
        os.set_inheritable(descriptor, False)
        sock = socket.socket(fileno=descriptor)
        sock.setblocking(False)
        sockets.append(sock)
    return tuple(sockets)
