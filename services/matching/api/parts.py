"""What routes take from the app that they run in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from libs.common.privacy import PersonKeys, Sealer
from libs.common.settings import Settings
from services.matching.evidence import EvidenceFolder
from services.matching.faces import FaceProvider
from services.matching.feed_intake import FeedIntake
from services.matching.feeds import FeedFolder, Keys
from services.matching.handlers.comparisons import Workshop
from services.matching.runs import ComparisonRuns


@dataclass(frozen=True, slots=True)
class Parts:
    """The keys, the folders of feeds and of evidence, who takes feeds in, who compares, and who compares faces."""

    keys: Keys
    folder: FeedFolder
    intake: FeedIntake
    comparisons: ComparisonRuns
    workshop: Workshop
    evidence: EvidenceFolder
    faces: FaceProvider


def keys_of(settings: Settings) -> Keys:
    return Keys(PersonKeys.parse(settings.person_keys), Sealer.parse(settings.sealing_keys))


def _parts(request: Request) -> Parts:
    parts: Parts = request.app.state.parts
    return parts


PartsOf = Annotated[Parts, Depends(_parts)]
