"""Golden vectors, and the test of the Python side against them."""
