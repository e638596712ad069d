"""Looks for what is wrong with what the daemon depends on. Changes nothing, and each finding says how to mend it."""
