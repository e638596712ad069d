"""`KEY=VALUE` words of the command line."""

from collections.abc import Iterable

from meerkat_client.errors import RkatError


def parse_labels(words: Iterable[str]) -> dict[str, str]:
    """Labels from `KEY=VALUE` words; the last of two equal keys counts.

    Raises:
        RkatError: INVALID_PARAMS for a word without `=` or without a key.
    """
    labels = {}
    for word in words:
        key, sign, value = word.partition("=")
        if not sign or not key:
            raise RkatError(
                "INVALID_PARAMS",
                f"The label {word!r} is not of the form KEY=VALUE.",
                hint="As in: --label project=demo",
                details={"field": "labels"},
            )
        labels[key] = value
    return labels
