"""One request at a time through the socket, against a bare echo server with the same framing and the same client."""

from collections.abc import Iterator

from tests.bench.harness import Row, Scale, best_of, echo_server, folder, instant_daemon, over_rounds, timed
from tests.bench.load import daemon_lines, echo_lines

# What the checks of params, the table of methods and the bookkeeping of a connection may cost.
GOAL_RATIO = 2.0


def run(scale: Scale) -> Iterator[Row]:
    calls, echoed, answered = scale.of(2000, 50), [], []
    with (
        folder() as root,
        echo_server(root) as (path, _),
        instant_daemon(root),
        echo_lines(path, 1) as (echo,),
        daemon_lines(root, "bench", 1) as (daemon,),
    ):
        for _ in range(scale.of(7, 2)):
            echoed.append(timed(lambda: echo.call("echo", {}), calls))
            answered.append(timed(lambda: daemon.call("realm/current", {}), calls))
    for name, share, goal in (("p50", 0.5, GOAL_RATIO), ("p99", 0.99, None)):
        yield Row(
            what=f"realm/current, {name}",
            figure=over_rounds(answered, share),
            best=best_of(answered, share),
            baseline=over_rounds(echoed, share),
            against="echo server",
            goal=goal,
            judged="ratio",
        )
