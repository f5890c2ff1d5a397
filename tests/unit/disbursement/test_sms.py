from datetime import date

import pytest

from libs.common.period import Period
from services.disbursement.sms import Announcement, missing_items

DUE = Announcement("困难残疾人生活补贴", 10_000, date(2026, 3, 5), "五华区民政局", Period(2026, 3))
RIGHT = "【一卡通】困难残疾人生活补贴100.00元已于2026年03月05日发放，主管部门：五华区民政局，发放周期：2026年3月。"


def test_an_sms_with_all_five_items_is_right() -> None:
    assert missing_items(RIGHT, DUE) == []


@pytest.mark.parametrize("day", ["2026年3月5日", "2026-03-05", "2026/3/5", "20260305"])
@pytest.mark.parametrize("month", ["2026年3月", "2026年03月", "2026-03", "2026年3月份"])
def test_dates_and_periods_may_be_written_as_banks_write_them(day: str, month: str) -> None:
    text = f"困难残疾人生活补贴 100.00元 {day} 五华区民政局 {month}"
    assert missing_items(text, DUE) == []


@pytest.mark.parametrize(
    ("replaced", "by", "item"),
    [
        ("困难残疾人生活补贴", "补贴", "subsidy"),
        ("100.00元", "", "amount"),
        ("100.00元", "1100.00元", "amount"),
        ("100.00元", "100.01元", "amount"),
        ("已于2026年03月05日", "已", "date_paid"),
        ("2026年03月05日", "2026年03月15日", "date_paid"),
        ("五华区民政局", "", "department"),
        ("发放周期：2026年3月", "", "period"),
        ("发放周期：2026年3月", "发放周期：2026年2月", "period"),
    ],
)
def test_an_item_that_is_missing_or_wrong_is_named(replaced: str, by: str, item: str) -> None:
    assert missing_items(RIGHT.replace(replaced, by), DUE) == [item]


def test_the_day_of_payment_does_not_tell_the_period_paid_for() -> None:
    assert missing_items("困难残疾人生活补贴100.00元2026-03-05五华区民政局", DUE) == ["period"]


def test_october_is_not_january() -> None:
    january = Announcement("生活", 1, date(2026, 1, 2), "民政局", Period(2026, 1))
    assert missing_items("生活0.01元 2026年1月2日 民政局 2026年10月", january) == ["period"]


def test_an_empty_sms_lacks_everything() -> None:
    assert missing_items("", DUE) == ["subsidy", "amount", "date_paid", "department", "period"]


def test_thousands_separators_do_not_hide_an_amount() -> None:
    due = Announcement("生活", 1_234_500, date(2026, 3, 5), "民政局", Period(2026, 2))
    assert missing_items("生活12,345.00元 2026年3月5日 民政局 2026年2月", due) == []
