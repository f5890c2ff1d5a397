from datetime import date
from random import Random

import pytest
from pydantic import ValidationError

from libs.common.period import Period
from services.disbursement.sms import Announcement, missing_items
from services.onecard_mock.outcomes import Faults, failure_of, return_of, sms_text

DUE = Announcement("重度残疾人护理补贴", 10_000, date(2026, 4, 2), "民政局", Period(2026, 3))


def text(faults: Faults, seed: int = 1) -> str:
    return sms_text(
        project="重度残疾人护理补贴",
        amount_fen=10_000,
        settled_on=date(2026, 4, 2),
        department="民政局",
        period_text="2026年3月",
        faults=faults,
        dice=Random(seed),
    )


def test_an_sms_names_the_five_items_and_writes_the_amount_in_yuan() -> None:
    assert missing_items(text(Faults()), DUE) == []
    assert "100.00元" in text(Faults())


@pytest.mark.parametrize("seed", range(10))
def test_a_spoilt_sms_lacks_exactly_one_item(seed: int) -> None:
    assert len(missing_items(text(Faults(sms_missing_field_rate=1), seed), DUE)) == 1


def test_a_transfer_fails_only_where_it_is_told_to_or_the_account_cannot_be() -> None:
    faults = Faults(fail_accounts={"6217000000000001": "dormant"})
    assert failure_of("6217000000000001", faults) == "dormant"
    assert failure_of("6217000000000002", faults) is None
    assert failure_of("none", Faults()) == "not_found"


def test_accounts_that_return_may_be_listed_or_given_codes() -> None:
    assert return_of("6217000000000001", Faults.model_validate({"return_accounts": ["6217000000000001"]})) == "closed"
    coded = Faults(return_accounts={"6217000000000001": "holder_dead"})
    assert return_of("6217000000000001", coded) == "holder_dead"
    assert return_of("6217000000000002", coded) is None


@pytest.mark.parametrize(
    "wrong", [{"http_500_rate": 1.5}, {"fail_accounts": {"1": "broke"}}, {"latency_ms": -1}, {"no_such_fault": 1}]
)
def test_a_fault_that_does_not_exist_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Faults.model_validate(wrong)
