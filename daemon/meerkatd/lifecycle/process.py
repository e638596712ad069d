"""What this process owes its surroundings: leave the caller behind, sane signals, a mask, files enough, crash dumps."""

import faulthandler
import os
import resource
import signal

# Three descriptors per open realm and one per connection; the usual soft limit of 256 (macOS) or 1024 is too few.
WANTED_FILES = 65536


def detach() -> None:
    """Go on in a child; the calling process ends at once with status 0.

    The client waits for the calling process, so that no zombie stays with a client that lives long, and the child is
    no session leader, so that it can never get a controlling terminal. To be called while there is only one thread.
    """
    if os.fork():
        os._exit(0)


def prepare_process() -> None:
    """Undo what a caller may have left: blocked signals, an open umask, few files, an unreadable crash."""
    # A crash dump goes to stderr, which is a file of mode 0600 when a client started us.
    faulthandler.enable()
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    os.umask(0o077)
    raise_file_limit()


def raise_file_limit() -> int:
    """Raise the soft limit of open files as far as the hard one allows; returns what it is now."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = WANTED_FILES if hard == resource.RLIM_INFINITY else min(hard, WANTED_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        return wanted
    return soft
