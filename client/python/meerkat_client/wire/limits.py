"""Every limit of the wire, each with its reason. Sizes in bytes, times in seconds."""

KIB = 1024
MIB = 1024 * KIB

# Decoding 1 MiB of hostile CBOR (nothing but empty arrays) was measured at 0.4 s and 86 MB, 16 MiB at 1.8 s and
# 1.2 GB, and decoding holds the GIL: this one is not a matter of taste.
MAX_REQUEST_FRAME = 1 * MIB

# A page of 1000 long messages fits; the daemon is trusted by its clients, so memory is the only concern.
MAX_REPLY_FRAME = 32 * MIB

# A blob must fit into one reply as base64, which takes 4/3 of it; providers take images of 5 to 20 MB.
MAX_BLOB = 20 * MIB

# A request above its limit is skipped without being stored, so that the connection survives an honest mistake;
# beyond this, skipping costs more than a new connection.
MAX_DISCARD = 64 * MIB

# Nesting of any message. JSON Schema inside of a tool declaration is the deepest honest use, and stays below 20.
MAX_DEPTH = 32

# Values in one request. A request is mostly one long text; 1 MiB of empty arrays is a million values and was measured
# to hold the event loop for 0.4 to 0.8 s.
MAX_VALUES = 50_000

# An integer beyond a double's range has no meaning in JSON; 1024 bits are exactly that range.
MAX_INTEGER_BYTES = 128

# Requests of one connection that may be unanswered at a time; more are refused, not queued. The public number: a turn
# is one of them for as long as it runs, and a server on top of one connection runs many.
MAX_IN_FLIGHT = 256

# A hundred shims at once are a stated use; each may hold several connections. Three files per connection at most
# keep this below the usual soft limit of open files after it has been raised.
MAX_CONNECTIONS = 512

# Doors on loopback TCP at a time: each `rkat-rpc --live-ws` has one.
MAX_DOORS = 32

# Connections through one of them. A page has one or two; whoever has no token must not use up descriptors either.
MAX_WEB_CONNECTIONS = 128

# listen() backlog: a burst of cold clients that waited for the same daemon.
BACKLOG = 128

# From accept to the `initialize` request, and for the WebSocket upgrade.
HANDSHAKE_SECONDS = 5.0

# A frame that has begun must be whole within this, plus its length at the rate below.
FRAME_PROGRESS_SECONDS = 10.0
FRAME_PROGRESS_BYTES_PER_SECOND = 64 * KIB

# Whoever wants to send waits while this much is unsent, so one connection holds this plus one frame at most.
OUTBOX_HIGH_WATER = 1 * MIB

# A client that takes not one byte for this long, while something is waiting for it, is gone.
WRITE_STALL_SECONDS = 30.0

# The longest public method name has 31 bytes.
MAX_METHOD_BYTES = 256

# Ids are echoed as they came; this is the public contract's bound.
MAX_ID_BYTES = 1024
MAX_ID_INTEGER = 2**63

# One read: large enough for nearly every request at once.
RECEIVE_CHUNK = 64 * KIB

# WebSocket: 1-byte fragments cost 2 us of CPU per byte of payload, and empty ones are limited by nothing else.
WS_MAX_FRAGMENTS = 64
WS_MAX_FRAMES_PER_SECOND = 10_000
# A chunk of smallest frames keeps the event loop for some 10 ms even so, hence it is smaller than for the framed door.
WS_RECEIVE_CHUNK = 2 * KIB
