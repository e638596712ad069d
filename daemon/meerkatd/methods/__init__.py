"""The methods of the daemon, one noun a file. `dispatch.py` is the only boundary between exceptions and the wire."""
