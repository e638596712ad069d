"""Tools that a turn can use, one kind a file."""
