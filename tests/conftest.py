"""For all tests: nothing of the person who runs them decides anything, and generated examples are always the same."""

import os
import signal

from hypothesis import settings

# A slow machine is no failure of a property.
settings.register_profile("meerkatd", derandomize=True, deadline=None)
settings.load_profile("meerkatd")

# Daemons that are started here inherit it; without it they would read the config of whoever runs the tests.
os.environ["MEERKAT_USER_CONFIG"] = "/nonexistent/meerkat/config.toml"

# A shell that runs this in the background has SIGINT ignored, and every program started here would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
