"""`rkat-mcp`: the daemon's sessions as tools and resources of the Model Context Protocol, for other agents.

A client of the daemon like any other, with the official SDK between it and the agent: the SDK speaks the protocol, in
all of its versions; here is what the tools mean. What a tool takes and gives is the contract's shape of the method
behind it, and the daemon is the only one who judges it, so there is one validator and one error table.

    options        argv -> Options
    tools          THE table: one line for each tool
    params         what tools take that are no method of their own
    schemas        JSON Schema of what tools take and give, out of the contract
    answers        results and errors -> what the agent reads
    progress       events of a turn -> lines of progress
    daemon         the connection to the daemon, made when it is first needed
    calls          carries out a tool
    event_streams  streams that stay open between calls
    resources      sessions as resources; completion of their ids
    watching       who wants to be told of changes of a resource
    flights        requests that are not answered yet; no I/O
    stdio          bytes <-> messages
    server         puts it all together
    reference      the reference page of the tools

A turn belongs to the daemon. An agent that cancels its request interrupts the turn, because it says that it does not
want it; one that ends, or dies, only leaves it: the turn goes on, and whoever comes next finds it in the session. So
the end of stdin must not look like a cancellation: the connection to the daemon is closed first, and what would take
requests back finds nobody to tell.

Doubt: importing the SDK takes most of a second and 60 MiB, as it brings its web server and its client along, and no
part of it can be had without the rest. The daemon is not asked before the first call, so that at least is not added.
"""
