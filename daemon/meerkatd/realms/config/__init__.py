"""The config of a realm: its file for people, its generation, and what it means for agents.

text ─ parse and patch, comments kept    check ─ against the schema    cell ─ the one owner, compare-and-set
files ─ the two files and their commit   state ─ generation, digest, keys   settings ─ what agents get of it
"""
