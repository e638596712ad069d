"""`rkat doctor`, in parts: what can be seen from outside of the daemon, and what the daemon sees itself."""
