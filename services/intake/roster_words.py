"""The columns of a roster that is taken over, and the words in its cells: English, and as rosters print them."""

from __future__ import annotations

import unicodedata
from typing import Literal, get_args

from libs.common.vocabulary import (
    CATEGORY_NAMES,
    INCOME_NAMES,
    SUBSIDIES,
    Category,
    CertificateStatus,
    IncomeCategory,
    Subsidy,
)

COLUMNS: dict[str, tuple[str, ...]] = {
    "name": ("姓名", "残疾人姓名", "补贴对象姓名"),
    "id_number": ("身份证号", "身份证号码", "公民身份号码", "居民身份证号"),
    "certificate_number": ("残疾人证号", "残疾证号", "残疾人证号码", "残疾证号码"),
    "category": ("残疾类别", "残疾类型"),
    "level": ("残疾等级", "残疾级别"),
    "components": ("多重残疾明细", "残疾明细"),
    "issued_on": ("发证日期", "首次发证日期"),
    "expires_on": ("有效期至", "有效期止", "残疾人证有效期"),
    "certificate_status": ("残疾人证状态", "证件状态"),
    "hukou_area": ("户籍地区划代码", "户籍地代码", "行政区划代码", "区划代码"),
    "phone": ("联系电话", "手机号", "手机号码", "电话"),
    "low_income": ("经济状况", "救助类别", "困难类型", "家庭经济状况"),
    "low_income_from": ("纳入日期", "低保起始日期", "纳入低保日期"),
    "long_term_care": ("需要长期照护", "长期照护"),
    "holder": ("账户归属", "领取人类型"),
    "bank": ("开户银行", "开户行", "银行"),
    "account": ("银行账号", "银行卡号", "账号", "社会保障卡银行账号"),
    "account_name": ("户名", "账户名", "开户名", "领取人姓名"),
    "guardian_id": ("监护人身份证号", "领取人身份证号"),
    "org_code": ("机构代码", "统一社会信用代码"),
    "payee_reason": ("代领原因", "非本人账户原因"),
    "subsidies": ("补贴类型", "补贴项目", "享受补贴"),
    "first_month": ("首发月份", "起始发放月份", "享受起始月份", "开始享受月份"),
    "paid_until": ("已发至", "已发至月份", "最后发放月份"),
    "living_first_month": ("生活补贴首发月份", "生活补贴起始月份"),
    "living_paid_until": ("生活补贴已发至",),
    "living_paid": ("生活补贴已发明细",),
    "care_first_month": ("护理补贴首发月份", "护理补贴起始月份"),
    "care_paid_until": ("护理补贴已发至",),
    "care_paid": ("护理补贴已发明细",),
}
"""The columns of a roster, each with the headings that it is known by besides its name."""

NEEDED = ("name", "id_number", "certificate_number", "hukou_area")

STATUSES: dict[str, CertificateStatus] = {
    **{status: status for status in get_args(CertificateStatus)},
    "正常": "valid",
    "有效": "valid",
    "迁移中": "in_transit",
    "迁出": "moved_out",
    "过期": "expired",
    "冻结": "frozen",
    "注销": "cancelled",
}
INCOMES: dict[str, IncomeCategory | None] = {
    **{category: category for category in get_args(IncomeCategory)},
    **{INCOME_NAMES[category]: category for category in get_args(IncomeCategory)},
    "低保": "dibao",
    "低保户": "dibao",
    "低保家庭": "dibao",
    "低保边缘": "borderline",
    "低保边缘家庭": "borderline",
    "特困": "tekun",
    "特困人员": "tekun",
    "刚性支出困难": "rigid",
    "监测对象": "monitored",
    "none": None,
    "无": None,
    "一般家庭": None,
}
CATEGORIES: dict[str, Category] = {
    **{category: category for category in CATEGORY_NAMES},
    **{name: category for category, name in CATEGORY_NAMES.items()},
    **{f"{name}残疾": category for category, name in CATEGORY_NAMES.items()},
}
HOLDERS: dict[str, Literal["own", "guardian", "institution"]] = {
    "own": "own",
    "本人": "own",
    "guardian": "guardian",
    "监护人": "guardian",
    "institution": "institution",
    "机构": "institution",
    "福利机构": "institution",
}
NAMED_SUBSIDIES: dict[str, tuple[Subsidy, ...]] = {
    "living": ("living",),
    "生活补贴": ("living",),
    "困难残疾人生活补贴": ("living",),
    "care": ("care",),
    "护理补贴": ("care",),
    "重度残疾人护理补贴": ("care",),
    "both": SUBSIDIES,
    "两项": SUBSIDIES,
    "两项补贴": SUBSIDIES,
    "双补贴": SUBSIDIES,
}
NOTHING_PAID = ("none", "未发", "未发放", "无")


def column_named(heading: str) -> str | None:
    """The column that a heading means: its name or one of its titles, in any letter case and width."""
    return _BY_HEADING.get(unicodedata.normalize("NFKC", heading).strip().lstrip("\ufeff").lower().replace(" ", ""))


_BY_HEADING = {heading: name for name, titles in COLUMNS.items() for heading in (name, *titles)}
