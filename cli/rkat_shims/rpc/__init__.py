"""`rkat-rpc`: the daemon's methods as lines of JSON on stdin and stdout, for programs that know the public contract.

A transcoder and nothing more: one line becomes one frame, one frame one line, and what a request means is the daemon's
to say. So there is one implementation and one error table. What is done here is what the daemon cannot do for a client
on a pipe: find or start the daemon, bind the realm that the command line names, keep that realm, the client's tools and
an answer for every request when the daemon goes away, and refuse a line that cannot become a frame.

    options   argv -> Options
    lines     bytes -> lines, with a bound
    answers   errors -> lines
    relay     lines <-> frames and what has to be remembered for it; no I/O
    link      the connection to the daemon
    loop      moves the bytes

Stdlib, cbor2 and `meerkat_client` only: a hundred of these run at once, so each import is paid a hundred times. A test
holds the list. No threads and no event loop: one `poll` over three descriptors.
"""
