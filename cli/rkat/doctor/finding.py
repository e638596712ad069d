"""One thing that was looked at, in the shape in which the daemon tells its own (`daemon/examine`)."""

from typing import Any

from meerkat_client.errors import RkatError

Finding = dict[str, Any]


def well(check: str, subject: str, message: str) -> Finding:
    return {"check": check, "level": "ok", "subject": subject, "message": message}


def warning(check: str, subject: str, message: str, *, mend: str) -> Finding:
    return {"check": check, "level": "warning", "subject": subject, "message": message, "mend": mend}


def wrong(check: str, subject: str, message: str, *, code: str, mend: str) -> Finding:
    return {"check": check, "level": "error", "subject": subject, "message": message, "code": code, "mend": mend}


def from_error(check: str, subject: str, error: RkatError) -> Finding:
    """A finding that says what an error says."""
    return wrong(check, subject, error.message, code=error.code, mend=error.hint)
