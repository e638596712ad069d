"""An image as every provider takes it: its media type, and base64 of its bytes."""

from typing import NamedTuple

# What is said in the place of an image that a call does not carry.
NOT_SHOWN = "(An image that is not shown here.)"


class Image(NamedTuple):
    """`base64` is without line breaks."""

    media_type: str
    base64: str
