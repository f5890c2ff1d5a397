"""What would change a refusal: per rule, what has to become otherwise before a month is payable.

A month with several failing rules needs every one of them changed.
"""

from __future__ import annotations

REMEDIES: dict[str, str] = {
    "alive": "死亡登记有误的, 由登记机关更正后补发; 被宣告死亡后重新出现的, 撤销宣告后补发"
    " (a wrong record of death is corrected by its office, a declaration annulled by reappearing: arrears follow)",
    "not_missing": "本人重新出现并经核实后, 自出现当月恢复, 不需重新申请"
    " (paid again from the month of reappearing, without a new application)",
    "not_in_prison": "刑满释放或改为监外执行后, 重新申请 (a new application after release, or serving outside prison)",
    "resident": "户籍迁入补贴实施地区后, 向户籍地申请 (an application where the hukou is, once it is in such an area)",
    "certificate_held": "向户籍地残联申领残疾人证后, 提出申请"
    " (an application once the federation has issued a certificate)",
    "certificate_current": "换领新证、解除冻结或迁入办结后, 自当月起恢复; 暂停满期限的需重新申请"
    " (paid again from the month of renewal, unfreezing or arrival; after the longest pause a new application)",
    "economic_status": "纳入低保或当地扩大的范围后, 提出申请"
    " (an application once the family is in dibao, or in what the area widened to)",
    "severity": "残疾等级或类别经残联重新评定进入范围后, 提出申请"
    " (an application once a re-assessment puts category and level in scope)",
    "long_term_care": "乡镇（街道）重新评估为需要长期照护后, 提出申请"
    " (an application once the township assesses the need of long-term care)",
    "not_in_tekun": "退出特困供养后的次月, 重新申请 (a new application in the month after tekun support ends)",
    "no_excluding_benefit": "该待遇停发后的次月, 重新申请 (a new application in the month after that benefit ends)",
    "one_of_its_class": "择高声明选择本补贴, 且另一补贴停发后, 自次月起计发"
    " (choose this subsidy in writing; it is paid from the month after the other's last)",
    "choice": "重新签署择高声明选择本补贴; 另一补贴停发后, 自次月起计发"
    " (a new signed choice of this subsidy; it is paid from the month after the other's last)",
    "paying_area": "由当月首个符合条件之日的户籍地发放, 请向该地查询 (ask the area that pays this month)",
    "application": "本人或代理人提出申请, 自申请当月计发 (an application; paid from its own month on)",
}


def remedy(rule: str, outcome: str) -> str | None:
    """What would change a failing reason; None for one that does not fail."""
    return REMEDIES[rule] if outcome == "fail" else None
