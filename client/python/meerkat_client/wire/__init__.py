"""Names and numbers that the daemon and every client share: the leaf that everybody imports.

Stdlib and cbor2 only, and of the stdlib nothing slow: each of a hundred shim processes pays for what is imported here.
This file imports nothing, so that a program pays only for the modules that it names.
"""
