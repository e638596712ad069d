"""`rkat`, the command line of meerkatd: a thin client that starts the daemon when it needs one.

`__main__` runs, `tree` knows the commands, `commands/` has one file for each of them, and the rest is what they share.
Every module is loaded when it is used: a command starts in a tenth of a second, most of which is typer.
"""
