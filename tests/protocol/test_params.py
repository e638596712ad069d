"""What callers are told of params that do not fit."""

import pytest

from meerkatd.contract.methods import METHODS
from meerkatd.errors import InvalidParams
from meerkatd.methods.dispatch import MAX_SHOWN_CHARS, check_params
from meerkatd.realms.config.check import ConfigFault, check_document

CREATE = next(method.params for method in METHODS if method.name == "session/create")

REFUSED = {
    "an empty text": {"prompt": "p", "model": ""},
    "a long text": {"prompt": "p", "model": "m" * 201},
    "many entries": {"prompt": "p", "labels": {f"k{n}": "v" for n in range(33)}},
    "a long key": {"prompt": "p", "labels": {"k" * 5000: "v"}},
    "no prompt": {},
}


@pytest.mark.parametrize("params", REFUSED.values(), ids=REFUSED)
def test_a_refusal_names_the_field_and_is_short_and_in_our_words(params: dict[str, object]):
    """Measured: pydantic calls the characters of a text "items", and "after validation" says nothing to a caller."""
    with pytest.raises(InvalidParams) as caught:
        check_params(CREATE, params)
    assert caught.value.message.startswith(caught.value.details["field"])
    assert not any(word in caught.value.message for word in ("validation", "items", "dictionary", "Value"))
    assert len(caught.value.message) < MAX_SHOWN_CHARS * 3


def test_a_config_that_is_too_long_somewhere_is_told_in_the_same_words():
    with pytest.raises(ConfigFault) as caught:
        check_document({"agent": {"model": "m" * 201}})
    assert caught.value.path == ("agent", "model")
    assert "validation" not in caught.value.what
