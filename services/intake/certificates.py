"""Which disability certificate (残疾人证) a person holds: as three offices approved it, and as it was told since."""

from __future__ import annotations

from collections.abc import Iterable

from libs.common.events.intake import CertificateClaim


def held(claims: Iterable[CertificateClaim]) -> CertificateClaim | None:
    """The last of the claims, which come in the order of their days. What a later one leaves open stays as it was
    known: the count of reissues, and the components of a multiple disability (a department's file has neither)."""
    known: CertificateClaim | None = None
    for claim in claims:
        known = claim if known is None else _following(known, claim)
    return known


def _following(known: CertificateClaim, claim: CertificateClaim) -> CertificateClaim:
    components = claim.components or known.components if claim.category == "multiple" else ()
    return claim.model_copy(update={"components": components, "reissue": claim.reissue or known.reissue})
