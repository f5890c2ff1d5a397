"""What a person of the sample is called and numbered; every draw comes from the one `Random` passed in."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from random import Random

from libs.common import areas
from libs.common.identity import check_character

_SURNAMES = "李王张杨刘陈赵周罗马黄普吴朱何段徐郭唐苏白和沙岩刀木余尹钱孙胡高林梁宋郑谢韩董潘蒋田任沈姜范方石姚"
_GIVEN = (
    "华明秀英芳伟丽强军玉兰珍建国平文志金凤云春梅红艳辉学光荣德贵福生发财桂琼仙美琴莲菊香翠清正忠良义勇才富"
    "永康思雨子涵欣怡佳宇浩然梓轩雪婷慧敏静洁晓东海波涛林森松柏竹山川江河源泉"
)
# Characters of people's names outside the basic plane or late in Unicode (GB 18030-2022, 通用规范汉字表).
_RARE = "\u4dae\u3b0e\u36c3\U0002a7dd\U0002b5af\U0002b627\U0002c029\U0002c35b\U0002c62c\U0002cb3b\U0002cb4e\U00020087"
_FIRST_PARTS = (
    "阿普",
    "扎西",
    "岩温",
    "玉波",
    "木呷",
    "尼玛",
    "格桑",
    "娜珠",
    "阿依",
    "达瓦",
    "勒墨",
    "恩孔",
    "此里",
    "鲁茸",
)
_SECOND_PARTS = (
    "次仁",
    "卓玛",
    "罕",
    "香",
    "古丽",
    "木沙",
    "七林",
    "央宗",
    "旺堆",
    "拉姆",
    "取批",
    "农布",
    "阿批",
    "娜",
)
# How often what kind of name is drawn; the rest is a surname and one or two common characters.
DOTTED_SHARE = 0.04
RARE_SHARE = 0.01

_MOBILE_PREFIXES = ("134", "135", "136", "137", "138", "139", "150", "151", "152", "158", "159", "182", "187", "188")
BANKS = ("云南省农村信用社", "中国农业银行", "中国邮政储蓄银行", "中国工商银行", "中国建设银行")
_CARD_PREFIXES = dict(zip(BANKS, ("623190", "622848", "621799", "621226", "621700"), strict=True))
OLD_ACCOUNT_SHARE = 0.05
"""Passbook accounts from before cards: neither Luhn nor 62…, and good all the same."""


def plain_name(draw: Random) -> str:
    return draw.choice(_SURNAMES) + "".join(draw.choice(_GIVEN) for _ in range(draw.choice((1, 2, 2))))


def dotted_name(draw: Random) -> str:
    """A minority name with the middle dot U+00B7."""
    return f"{draw.choice(_FIRST_PARTS)}·{draw.choice(_SECOND_PARTS)}"


def rare_name(draw: Random) -> str:
    """A name with a character that old systems lose."""
    return draw.choice(_SURNAMES) + draw.choice(_RARE) + draw.choice(("", draw.choice(_GIVEN)))


def any_name(draw: Random) -> str:
    kind = draw.random()
    if kind < DOTTED_SHARE:
        return dotted_name(draw)
    return rare_name(draw) if kind < DOTTED_SHARE + RARE_SHARE else plain_name(draw)


def birth_date(draw: Random, youngest_years: int, oldest_years: int, on: date) -> date:
    """A birth so that the age in years on that day lies between the two, both included."""
    latest = on - timedelta(days=youngest_years * 365 + youngest_years // 4 + 1)
    return latest - timedelta(days=draw.randrange((oldest_years - youngest_years + 1) * 365))


class Registrar:
    """Gives out resident IDs, phones and accounts, each once."""

    def __init__(self, draw: Random, county: str, on: date) -> None:
        self._draw = draw
        self._county = county
        self._other_counties = areas.areas_below(county[:2], "county", on) or [county]
        self._taken: set[str] = set()

    def resident_id(self, born: date) -> str:
        """Registered first in the county, or (one in eight) elsewhere in the province."""
        while True:
            area = self._county if self._draw.random() < 0.88 else self._draw.choice(self._other_counties)
            first_17 = f"{area}{born:%Y%m%d}{self._draw.randrange(1, 1000):03d}"
            if first_17 not in self._taken:
                self._taken.add(first_17)
                return first_17 + check_character(first_17)

    def phone(self) -> str:
        return self._once(lambda: f"{self._draw.choice(_MOBILE_PREFIXES)}{self._draw.randrange(10**8):08d}")

    def account(self, bank: str) -> str:
        if self._draw.random() < OLD_ACCOUNT_SHARE:
            return self._once(lambda: f"53{self._draw.randrange(10**15):015d}")
        return self._once(lambda: _with_luhn(f"{_CARD_PREFIXES[bank]}{self._draw.randrange(10**12):012d}"))

    def _once(self, drawn: Callable[[], str]) -> str:
        while (value := drawn()) in self._taken:
            pass
        self._taken.add(value)
        return value


def _with_luhn(digits: str) -> str:
    doubled = sum(sum(divmod(2 * int(d), 10)) for d in digits[-1::-2])
    return digits + str(-(doubled + sum(int(d) for d in digits[-2::-2])) % 10)
