"""The process of a local model: llama.cpp's own HTTP server on loopback. Run by `local_model`, never imported by it.

Talk on stdin and stdout, one line each. First line in: JSON of what to load, with the key that requests must carry
(a command line would show it to everybody). First line out: JSON with `url`, or `error`. Then `+` for each use that
begins, answered by `ok`, and `-` for each that ends. The end of stdin is the end of this process, so it never outlives
the daemon, however that dies; and it ends by itself after a while without use.

Why not a parent-death signal: the kernel sends it when the *thread* dies that made the process, and that is a worker
thread with a short life.
"""

import json
import os
import selectors
import sys
from typing import Any

EXIT_FAILED = 3

# What llama.cpp keeps of earlier prompts, beside the one in its slot: a session's prefix, not the default of 8 GiB.
CACHE_MIB = 128

# A small model may never find an end; this stops it with finish reason "length".
MAX_ANSWER_TOKENS = 1024

# Small models ramble at the default temperature of 0.8; a request may still choose its own.
TEMPERATURE = 0.2

# Against endless repetition, which one greeting in three led to: the "don't repeat yourself" sampler punishes repeated
# sequences of this many tokens and more. A plain repetition penalty would punish the words of the question, too, and
# was measured to make a model of 135 million parameters avoid them.
DRY_MULTIPLIER = 0.8
DRY_ALLOWED_LENGTH = 4


def main() -> int:
    """Serve until stdin ends or nobody has used the model for long enough; gives the exit status."""
    # Native code may print; only our own lines may reach the pipe that the daemon reads.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    orders = _Lines(0)
    first = orders.next_line(None)
    if first is None:
        return 0
    wanted = json.loads(first)
    try:
        server = _start(wanted)
    except (RuntimeError, ImportError, OSError) as error:
        print(json.dumps({"error": str(error)}), file=answers)
        return EXIT_FAILED
    print(json.dumps({"url": server.listening_address}), file=answers)
    _serve(orders, answers, idle_seconds=float(wanted["idle_seconds"]))
    return 0


def _start(wanted: dict[str, Any]) -> Any:
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = wanted["path"]
    params.model_alias = {wanted["alias"]}
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.api_keys = [wanted["api_key"]]
    params.n_ctx = wanted["context_window"]
    params.n_parallel = 1
    params.n_predict = MAX_ANSWER_TOKENS
    params.cpuparams.n_threads = wanted["threads"]
    params.cache_ram_mib = CACHE_MIB
    params.sampling.temp = TEMPERATURE
    params.sampling.dry_multiplier = DRY_MULTIPLIER
    params.sampling.dry_allowed_length = DRY_ALLOWED_LENGTH
    params.ui = False
    params.endpoint_slots = False
    params.verbosity = 1
    return xllamacpp.Server(params)


class _Lines:
    """Lines of a descriptor, with a limit on the wait."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._buffer = b""
        self._selector = selectors.DefaultSelector()
        self._selector.register(fd, selectors.EVENT_READ)

    def next_line(self, timeout: float | None) -> str | None:
        """The next line; None at the end of input. Raises TimeoutError when nothing comes for `timeout` seconds."""
        while b"\n" not in self._buffer:
            if not self._selector.select(timeout):
                raise TimeoutError
            chunk = os.read(self._fd, 4096)
            if not chunk:
                return None
            self._buffer += chunk
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line.decode()


def _serve(orders: _Lines, answers: Any, *, idle_seconds: float) -> None:
    users = 0
    while True:
        try:
            line = orders.next_line(None if users else idle_seconds)
        except TimeoutError:
            return
        if line is None:
            return
        if line == "+":
            users += 1
            print("ok", file=answers)
        else:
            users -= 1


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    # The server's native threads have no orderly end; nothing here needs one.
    os._exit(status)
