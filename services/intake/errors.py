"""What intake refuses, by condition."""

from __future__ import annotations

from typing import ClassVar
from uuid import UUID

from libs.common.errors import Conflict, DomainError, Forbidden


class AlreadyApplied(Conflict):
    """An application of this person for this subsidy is open or granted."""

    type = "already-applied"

    def __init__(self, application_id: UUID, subsidy: str) -> None:
        super().__init__(
            f"{subsidy}: application {application_id}", application_id=str(application_id), subsidy=subsidy
        )


class OutOfOrder(Conflict):
    """It is another stage's turn."""

    type = "out-of-order"


class NotUnderReview(Conflict):
    """The application is not waiting for a review."""

    type = "not-under-review"


class NotReturned(Conflict):
    """The application was not returned for completion."""

    type = "not-returned"


class AlreadyClosed(Conflict):
    """The application is rejected or withdrawn already."""

    type = "already-closed"


class StageOfAnotherRole(Forbidden):
    """Each stage is reviewed by its own office."""

    type = "stage-of-another-role"


class OwnCardFirst(Conflict):
    """The person's own card is active; it comes first."""

    type = "own-card-first"


class AgainstRegisters(Conflict):
    """Departments' registers have it otherwise; whoever approves it all the same says why."""

    type = "against-registers"


class NoGuardian(Conflict):
    """No guardian is recorded for this person."""

    type = "no-guardian"


class ChangeDecided(Conflict):
    """This change is approved or replaced already."""

    type = "change-decided"


class ObjectionDecided(Conflict):
    """This objection is decided already."""

    type = "objection-decided"


class ArchiveClosed(Conflict):
    """A withdrawn or rejected application takes no more documents."""

    type = "archive-closed"


class UnknownFileType(DomainError):
    """Only PDF, JPEG, PNG and HEIC files are taken."""

    status: ClassVar[int] = 415
    type = "unknown-file-type"


class TooManyRequests(DomainError):
    """Too many questions in a short time."""

    status: ClassVar[int] = 429
    type = "too-many-requests"

    def __init__(self, *, retry_after_s: int) -> None:
        super().__init__("ask again later")
        self.headers = {"Retry-After": str(retry_after_s)}


class NotForwarded(Conflict):
    """The accepting place has not forwarded this application yet."""

    type = "not-forwarded"


class AlreadyForwarded(Conflict):
    """This application was forwarded already."""

    type = "already-forwarded"


class NotDecidedYet(Conflict):
    """There is no result to tell yet."""

    type = "not-decided-yet"


class ResultTold(Conflict):
    """The result was told already."""

    type = "result-told"


class NothingToHandle(Conflict):
    """Nothing of this objection waits to be looked into."""

    type = "nothing-to-handle"


class TransferOpen(Conflict):
    """A transfer of this person waits for an answer already."""

    type = "transfer-open"


class TransferDecided(Conflict):
    """This transfer was answered already."""

    type = "transfer-decided"


class BeingTakenOver(Conflict):
    """This person is just being taken over from a roster; try again once that is decided."""

    type = "being-taken-over"


class BothGranted(Conflict):
    """Both persons have the same subsidy open or granted; withdraw one before they become one."""

    type = "both-granted"


class PersonMerged(Conflict):
    """This person goes on under another id since the resident ID was corrected."""

    type = "person-merged"


class ItemJudged(Conflict):
    """This archive was judged already in this check."""

    type = "item-judged"


class NoSuchPaper(Conflict):
    """The application has no paper of this kind as it stands."""

    type = "no-such-paper"
