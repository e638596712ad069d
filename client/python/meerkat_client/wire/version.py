"""Versions: of the program, of the protocol between client and daemon, and of the public contract.

A literal and not package metadata: importlib.metadata would cost every client some 20 ms of start.
"""

VERSION = "0.1.0"

# The range of the framed protocol that this program speaks; both sides send theirs with `initialize`.
PROTOCOL_MIN = 1
PROTOCOL_MAX = 1

# The public Meerkat contract whose stock clients can drive this program.
CONTRACT_VERSION = "0.9.6"
