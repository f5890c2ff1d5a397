"""The sample as a roster to take over (存量接管): who was paid elsewhere before the first period, and until when."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from random import Random

from deploy.local.sample.county import County, Person
from libs.common.period import Period
from libs.common.vocabulary import CATEGORY_NAMES

_LONGEST_MONTHS = 24
_BEHIND_SHARE = 0.03
"""Of who was not paid up to the last month before the first period; a third of them not at all."""

_FAMILIES = {
    "dibao": "低保",
    "borderline": "低保边缘",
    "tekun": "特困",
    "rigid": "刚性支出困难",
    "monitored": "监测对象",
}
COLUMNS = (
    *("姓名", "身份证号", "残疾人证号", "残疾类别", "残疾等级", "多重残疾明细", "发证日期", "有效期至", "残疾人证状态"),
    *(
        "户籍地区划代码",
        "联系电话",
        "经济状况",
        "纳入日期",
        "账户归属",
        "户名",
        "开户银行",
        "银行账号",
        "监护人身份证号",
    ),
    *("机构代码", "代领原因", "生活补贴首发月份", "生活补贴已发至", "护理补贴首发月份", "护理补贴已发至", "备注"),
)


def roster_csv(county: County) -> str:
    """The roster as CSV with Chinese headings; every row says that it is a sample."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(_row(person, county) for person in county.persons)
    return text.getvalue()


def _row(person: Person, county: County) -> dict[str, object]:
    draw = Random(f"roster/{county.seed}/{person.id_number}")  # noqa: S311 (a sample)
    return {
        "姓名": person.name,
        "身份证号": person.id_number,
        "残疾人证号": person.certificate_number,
        "残疾类别": CATEGORY_NAMES[person.category],
        "残疾等级": f"{'一二三四'[person.level - 1]}级",
        "多重残疾明细": "、".join(f"{CATEGORY_NAMES[kind]}{level}级" for kind, level in person.components),
        "发证日期": person.issued_on,
        "有效期至": person.expires_on,
        "残疾人证状态": "正常",
        "户籍地区划代码": person.township,
        "联系电话": person.phone or "",
        "经济状况": _FAMILIES[person.family] if person.family else "无",
        "纳入日期": person.family_since or "",
        **_payee(person),
        **dict(_months(person, county, draw)),
        "备注": "样例数据",
    }


def _payee(person: Person) -> dict[str, str]:
    if person.card is not None and person.card_status == "active":
        return {"账户归属": "本人", "户名": person.name, "开户银行": person.card.bank, "银行账号": person.card.number}
    if person.guardian is None:
        return {"账户归属": "本人"}
    guardian = person.guardian
    return {
        "账户归属": "监护人" if guardian.kind == "person" else "机构",
        "户名": guardian.name,
        "开户银行": guardian.account.bank,
        "银行账号": guardian.account.number,
        "监护人身份证号" if guardian.kind == "person" else "机构代码": guardian.number,
        "代领原因": "本人社会保障卡金融功能未开通",
    }


def _months(person: Person, county: County, draw: Random) -> Iterator[tuple[str, str]]:
    """Since when and until when each subsidy was paid."""
    last = county.first_period.previous
    for subsidy, title in (("living", "生活补贴"), ("care", "护理补贴")):
        if subsidy not in person.subsidies:
            continue
        first = last.plus(-draw.randrange(_LONGEST_MONTHS))
        if subsidy == "living" and person.family_since is not None:
            first = max(first, Period.of(person.family_since))
        fate, until = draw.random(), str(last)
        if fate < _BEHIND_SHARE / 3:
            until = "未发"
        elif fate < _BEHIND_SHARE and first < last:
            until = str(last.previous)
        yield f"{title}首发月份", str(first)
        yield f"{title}已发至", until
