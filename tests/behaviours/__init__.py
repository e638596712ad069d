"""What the daemon promises, as a list, and each promise held over every surface."""
