"""What was counted and timed, told to those whom the user named: a page for Prometheus, and traces for OpenTelemetry.

Both are off unless asked for, and their libraries are extras that are imported only then.
"""
