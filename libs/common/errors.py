"""Refusals. Each condition is a class of its own; its docstring is the sentence that a caller reads as the title."""

from __future__ import annotations

from typing import Any, ClassVar


class DomainError(Exception):
    """The request was refused."""

    status: ClassVar[int] = 422
    type: ClassVar[str] = "refused"

    def __init__(self, detail: str = "", *, errors: list[dict[str, str]] | None = None, **extra: Any) -> None:
        """`detail` says what is wrong here; `errors` are `{path, message}`; `extra` members join the answer."""
        super().__init__(detail or self.title)
        self.detail = detail
        self.errors = errors or []
        self.extra = extra
        self.headers: dict[str, str] = {}

    @property
    def title(self) -> str:
        return (type(self).__doc__ or "").strip().splitlines()[0]


class InvalidInput(DomainError):
    """The input is not valid."""

    status = 422
    type = "invalid-input"

    @classmethod
    def at(cls, path: str, message: str) -> InvalidInput:
        """One field is wrong; `path` names it with dots, as in `applicant.id_number`."""
        return cls(f"{path}: {message}", errors=[{"path": path, "message": message}])


class MalformedBody(DomainError):
    """The body cannot be read."""

    status = 400
    type = "malformed-body"


class BodyTooLarge(DomainError):
    """The body is larger than this endpoint takes."""

    status = 413
    type = "body-too-large"


class Unauthenticated(DomainError):
    """A valid bearer token is needed."""

    status = 401
    type = "unauthenticated"

    def __init__(self, detail: str = "", **extra: Any) -> None:
        super().__init__(detail, **extra)
        self.headers = {"WWW-Authenticate": "Bearer"}


class Forbidden(DomainError):
    """This role or area may not do that."""

    status = 403
    type = "forbidden"


class NotFound(DomainError):
    """There is no such thing here."""

    status = 404
    type = "not-found"


class Conflict(DomainError):
    """The present state does not allow that."""

    status = 409
    type = "conflict"


class FourEyes(Forbidden):
    """Another person must do that."""

    type = "four-eyes"


class IdempotencyKeyReused(Conflict):
    """This idempotency key was used with another body."""

    type = "idempotency-key-reused"


class StillRunning(Conflict):
    """The same request is still being worked on."""

    type = "still-running"

    def __init__(self, detail: str = "", *, retry_after_s: int = 1) -> None:
        super().__init__(detail)
        self.headers = {"Retry-After": str(retry_after_s)}


class Unavailable(DomainError):
    """A part that is needed for this is not reachable now."""

    status = 503
    type = "unavailable"
