"""The benches by name, in the order in which they run."""

from collections.abc import Mapping

from tests.bench import (
    backup,
    busy,
    cli_list,
    cold_start,
    first_turn,
    fork,
    interrupt,
    long_session,
    mcp_shim,
    memory,
    neighbours,
    newest,
    page,
    rest_shim,
    restart,
    round_trip,
    rpc_shims,
    sdk_import,
    stored_bytes,
    throughput,
    turn_overhead,
)
from tests.bench.harness import Bench

BENCHES: Mapping[str, Bench] = {
    "round_trip": round_trip.run,
    "busy": busy.run,
    "interrupt": interrupt.run,
    "turn_overhead": turn_overhead.run,
    "neighbours": neighbours.run,
    "long_session": long_session.run,
    "throughput": throughput.run,
    "page": page.run,
    "fork": fork.run,
    "newest": newest.run,
    "backup": backup.run,
    "stored_bytes": stored_bytes.run,
    "memory": memory.run,
    "cold_start": cold_start.run,
    "restart": restart.run,
    "first_turn": first_turn.run,
    "cli_list": cli_list.run,
    "rpc_shims": rpc_shims.run,
    "mcp_shim": mcp_shim.run,
    "rest_shim": rest_shim.run,
    "sdk_import": sdk_import.run,
}
