"""Doubles and fixtures that more than one test folder uses. They are ordinary code and are kept as such."""
