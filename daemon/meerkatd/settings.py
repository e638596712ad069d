"""What this daemon was started with; frozen, and read from argv once."""

import argparse
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from meerkat_client.wire.faults import WireError
from meerkat_client.wire.paths import Places, places, user_config_path
from meerkat_client.wire.version import VERSION

# Long enough for an answer that is nearly done, short enough for a shutdown of the machine.
DEFAULT_DRAIN_SECONDS = 10.0
_LOOPBACK = frozenset(("127.0.0.1", "::1", "localhost"))


class SettingRefused(WireError):
    """A setting that cannot be."""

    code = "INVALID_PARAMS"


# A pause for lunch is no reason to leave, and starting again takes a third of a second.
DEFAULT_IDLE_SECONDS = 1800.0
# The service manager starts the daemon for whoever comes, so leaving gains memory only; more often than this it is not
# worth its lines in the journal.
LEAST_IDLE_SECONDS_MANAGED = 600.0
_DAY = 24 * 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Settings of one daemon process.

    Attributes:
        places: the directories and files of this daemon.
        foreground: log to stderr instead of the log file.
        ready_fd: descriptor to report readiness on; None when nobody waits.
        drain_seconds: how long running turns may go on after SIGTERM.
        metrics: host and port of the page for Prometheus; None for no page.
        idle_seconds: leave after this time without a connection and without work; 0 for never.
        idle_chosen: somebody chose that on the command line.
        user_config: the config file beneath that of every realm; it need not exist.
    """

    places: Places = field(default_factory=places)
    foreground: bool = False
    ready_fd: int | None = None
    drain_seconds: float = DEFAULT_DRAIN_SECONDS
    metrics: tuple[str, int] | None = None
    idle_seconds: float = DEFAULT_IDLE_SECONDS
    idle_chosen: bool = False
    user_config: str = field(default_factory=user_config_path)

    @property
    def state_root(self) -> str:
        return self.places.state_root

    @property
    def runtime_dir(self) -> str:
        return self.places.runtime_dir

    @property
    def socket_path(self) -> str:
        return self.places.socket_path

    @property
    def log_path(self) -> str:
        return self.places.log_path


def _seconds(text: str, *, most: int = 3600) -> float:
    value = float(text)
    if not 0 <= value <= most:
        raise argparse.ArgumentTypeError(f"must be between 0 and {most}")
    return value


def _idle_seconds(text: str) -> float:
    return _seconds(text, most=_DAY)


def _idle_of(environ: Mapping[str, str]) -> float:
    """What MEERKAT_IDLE_SECONDS says; a text that is no such number counts as none, as nobody would see a complaint."""
    try:
        return _idle_seconds(environ["MEERKAT_IDLE_SECONDS"])
    except (KeyError, ValueError, argparse.ArgumentTypeError):
        return DEFAULT_IDLE_SECONDS


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="meerkatd", description="The daemon that owns the sessions of one user's agents."
    )
    parser.add_argument("--state-root", metavar="DIR", help="where all data is (default: MEERKAT_STATE_ROOT, or"
                        " `meerkat` in the platform's data directory)")  # fmt: skip
    parser.add_argument("--runtime-dir", metavar="DIR", help="where the socket is")
    parser.add_argument("--foreground", "--log-stderr", action="store_true", help="log to stderr")
    parser.add_argument("--drain-seconds", type=_seconds, default=DEFAULT_DRAIN_SECONDS, metavar="S",
                        help="how long running turns may go on after SIGTERM (default: %(default)g)")  # fmt: skip
    parser.add_argument("--metrics", metavar="HOST:PORT", help="serve a page for Prometheus on loopback"
                        " (default: MEERKAT_METRICS, or none)")  # fmt: skip
    parser.add_argument("--idle-seconds", type=_idle_seconds, metavar="S",
                        help="leave after this time without a connection and without work; 0 for never (default:"
                        f" MEERKAT_IDLE_SECONDS, or {DEFAULT_IDLE_SECONDS:g})")  # fmt: skip
    parser.add_argument("--ready-fd", type=int, metavar="N", help="descriptor to report readiness on")
    parser.add_argument("--detach", action="store_true", help="leave the caller's process behind")
    parser.add_argument("--version", action="version", version=f"meerkatd {VERSION}")
    return parser


def _loopback(text: str) -> tuple[str, int]:
    """Host and port of `HOST:PORT`. Raises WireError unless it is of loopback."""
    host, _, port = text.rpartition(":")
    host = host.strip("[]")
    if host not in _LOOPBACK or not port.isascii() or not port.isdecimal() or int(port) > 65535:
        raise SettingRefused(
            f"The address of the metrics, {text!r}, is not of the form 127.0.0.1:PORT.",
            hint="Set MEERKAT_METRICS or --metrics to 127.0.0.1:9464, say; port 0 takes any that is free.",
        )
    return host, int(port)


def parse_settings(argv: Sequence[str], *, environ: Mapping[str, str] | None = None) -> Settings:
    """Settings from the command line, and from the environment where it says nothing; argparse exits on mistakes.

    Raises:
        PathRefused: no usable path for a socket.
        SettingRefused: the address of the metrics is not of loopback.
    """
    env = os.environ if environ is None else environ
    args = _parser().parse_args(argv)
    metrics = args.metrics if args.metrics is not None else env.get("MEERKAT_METRICS")
    return Settings(
        places=places(args.state_root, runtime_dir=args.runtime_dir),
        foreground=args.foreground,
        ready_fd=args.ready_fd,
        drain_seconds=args.drain_seconds,
        metrics=_loopback(metrics) if metrics else None,
        idle_seconds=_idle_of(os.environ) if args.idle_seconds is None else args.idle_seconds,
        idle_chosen=args.idle_seconds is not None,
    )
