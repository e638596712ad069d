"""The daemon as a service of systemd or launchd: installed, looked at, and taken away without a trace."""
