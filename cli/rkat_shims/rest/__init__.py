"""`rkat-rest`: the daemon over HTTP, for programs that speak nothing else and for `curl`.

A client of the daemon like any other, with one realm for the life of the process. What a request means is the daemon's
to say: the table in `routes` says which verb and address stands for which method, the contract's shapes say how a query
is read, and the one error table gives the status. What is done here is what HTTP needs and the daemon cannot know.

    options    argv -> Options
    token      the secret file
    guard      may this request come in at all?  No I/O
    routes     the table: verb and address -> method
    params     path, query, body and headers -> params.  No I/O
    body       bytes -> JSON, with bounds of size and time
    calls      params -> daemon -> answer; turns that outlive their request
    flights    turns in flight, by request id
    etag       preconditions on the config.  No I/O
    powers     config keys that name programs, files and servers.  No I/O
    config     the config's three verbs
    events     one daemon stream for all readers of a session
    sse        server-sent events
    watch      new generations of the config as server-sent events
    answers    results and errors -> responses
    app        all of it as one ASGI application
    serving    sockets and connections
    openapi    the table as an OpenAPI document, a page, and a reference

The loopback interface is no boundary: every user of the machine and every page in a browser can send requests there. So
a request needs the token of a file that only its owner can read, must name this very server as its host, and must not
come from a page of another origin. There are no cookies and no CORS, so a browser never sends the token by itself.

Doubts: Hypercorn shields what it writes from cancellation, so a reader that stalls is ended by closing its socket
(`serving`). FastAPI costs a third of the start; its routing and error handling are used, its own validation is not,
because there is one validator and that is the daemon.
"""
