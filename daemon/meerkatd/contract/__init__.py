"""Shapes: what crosses the wire, one noun a file. Params are pydantic models and the only validators; results and
events are typed dictionaries. Client types, JSON Schema and the reference pages are generated from here (`emit.py`)."""
