"""Stock clients raise on a kind of event that the public contract does not have, so none of ours may be new."""

from typing import get_args, get_type_hints

from meerkatd.contract.event import EventPayload
from meerkatd.methods.context import OUR_KINDS

# The kinds of contract 0.9.6 that could be of use here; it has more, of features that are not here.
PUBLIC = {
    "budget_warning",
    "compaction_completed",
    "compaction_failed",
    "compaction_started",
    "hook_completed",
    "hook_denied",
    "hook_failed",
    "hook_started",
    "interaction_complete",
    "interaction_failed",
    "reasoning_complete",
    "reasoning_delta",
    "retrying",
    "run_completed",
    "run_failed",
    "run_started",
    "skill_resolution_failed",
    "skills_resolved",
    "stream_truncated",
    "text_complete",
    "text_delta",
    "tool_call_requested",
    "tool_config_changed",
    "tool_execution_completed",
    "tool_execution_started",
    "tool_execution_timed_out",
    "tool_result_received",
    "turn_completed",
    "turn_started",
}


def test_every_kind_of_event_is_one_of_the_public_contract() -> None:
    kinds = {kind for shape in get_args(EventPayload) for kind in get_args(get_type_hints(shape)["type"])}
    # Ours are kept from connections that announce a version of that contract.
    assert kinds - OUR_KINDS <= PUBLIC
    assert kinds > OUR_KINDS
    assert "run_started" in kinds
