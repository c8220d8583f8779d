"""One shape for every error that leaves the house: a code, a message in the reader's language, and what to do."""

from __future__ import annotations

from collections.abc import Mapping

from plugin.kernel.lazy import Lazy


class AhlanError(Exception):
    """An error with words for a person.

    `code` is stable and goes into JSON; `message` and `hint` are lazy catalogue texts,
    rendered in the reader's language at the edge; `values` fill their placeholders.
    """

    status = 400
    code = "bad_request"

    def __init__(
        self,
        message: Lazy,
        hint: Lazy | None = None,
        *,
        code: str | None = None,
        status: int | None = None,
        values: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(str(message))
        self.message = message
        self.hint = hint
        self.values = dict(values or {})
        if code is not None:
            self.code = code
        if status is not None:
            self.status = status


class NotFound(AhlanError):
    """The thing does not exist, or belongs to somebody else: the two are never told apart."""

    status = 404
    code = "not_found"


class Forbidden(AhlanError):
    """Known, but not allowed: the role lacks the permission."""

    status = 403
    code = "forbidden"


class Unauthorized(AhlanError):
    """Not known: no session, or one that is no longer good."""

    status = 401
    code = "unauthorized"


class Conflict(AhlanError):
    """Somebody else was faster; reading again shows the new state."""

    status = 409
    code = "conflict"


class TooLarge(AhlanError):
    """More bytes than this edge accepts."""

    status = 413
    code = "too_large"


class TooMany(AhlanError):
    """A rate limit of ours; `retry_after` is in seconds."""

    status = 429
    code = "too_many"

    def __init__(self, message: Lazy, hint: Lazy | None = None, *, retry_after: int = 60) -> None:
        super().__init__(message, hint)
        self.retry_after = retry_after


class SetupError(Exception):
    """The operator's configuration cannot work; the text says what to change. Raised at start, never while serving."""
