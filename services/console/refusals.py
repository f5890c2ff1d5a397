"""Why a service refused, as a sentence in Chinese: each kind of problem (RFC 9457 `type`) that a service answers."""

from __future__ import annotations

from typing import Any

_BY_KIND = {
    # of every service
    "invalid-input": "输入有误",
    "malformed-body": "请求格式不正确",
    "body-too-large": "内容过大",
    "forbidden": "当前角色或地区无权进行此操作",
    "four-eyes": "须由另一人办理",
    "not-found": "没有找到，或不在您的管辖地区内",
    "conflict": "当前状态不允许此操作",
    "idempotency-key-reused": "同一请求编号已用于其他内容",
    "still-running": "相同请求正在办理，请稍后再试",
    "too-many-requests": "操作过于频繁，请稍后再试",
    # intake
    "already-applied": "此人该项补贴已在申请或已获批准",
    "out-of-order": "尚未轮到此环节，或此环节已经办结",
    "stage-of-another-role": "各环节由对应部门审核",
    "not-under-review": "此申请不在待审核状态",
    "not-returned": "此申请没有退回补正",
    "already-closed": "此申请已不予批准或已撤回",
    "own-card-first": "本人社会保障卡有效，应优先使用本人账户",
    "no-guardian": "没有登记监护人",
    "against-registers": "与部门登记数据不一致，仍要批准须写明理由",
    "no-open-lead": "这条部门数据已一致或已维持登记",
    "no-dismissal": "尚未有人提出维持登记，或部门数据此后又有变化",
    "change-decided": "此变更已经批准或被替换",
    "objection-decided": "此复核申请已有决定",
    "archive-closed": "申请已撤回或不予批准，不再收取材料",
    "not-forwarded": "受理地尚未转交此申请",
    "already-forwarded": "此申请已经转交",
    "not-decided-yet": "尚无结果可告知",
    "result-told": "结果已经告知",
    "transfer-open": "此人已有一项迁移待答复",
    "transfer-decided": "此迁移已经答复",
    "being-taken-over": "此人正由存量名册接管，请待接管完成后再办理",
    "both-granted": "两个身份证号名下有同一项补贴，请先撤回其一再合并",
    "person-merged": "身份证号已更正，此人已转入另一编号",
    "item-judged": "此份档案在本次抽查中已有结论",
    "no-such-paper": "此申请目前没有这种文书",
    "unknown-file-type": "只接收 PDF、JPEG、PNG、HEIC 文件",
    "unreadable-roster": "文件不能作为名册读取",
    # eligibility
    "layer-refused": "此政策文件不能采用",
    "still-at-odds": "规定尚未纠正：没有已批准的本地文件取代它",
    # matching
    "unreadable-feed": "文件不能作为部门数据读取",
    "too-close-to-the-province": "州（市）复核须与省级比对间隔一个月以上",
    "planned-already": "该日已有此项复核计划",
    "face-did-not-match": "人脸识别未通过，不能据此认定，请改用其他方式核实",
    "face-check-proves-no-death": "人脸识别未通过不等于死亡，请改用其他方式核实",
    "already-verified": "此线索已经核实",
    "resolved-already": "此疑点已经处理",
    "not-in-quarantine": "只有存疑的数据才需采用或退回",
    "death-is-not-released": "死亡线索只能经核实解除，不因逾期解除",
    "not-overdue": "未逾期的线索须先核实",
    "not-compared-yet": "只有已完成的比对可以重新核验",
    # disbursement
    "wrong-state": "发放批次不在此环节",
    "funds-short": "资金不足以支付本批次",
    "policy-under-reevaluation": "政策调整正在重新认定相关人员，请待完成后再编制",
    "roster-under-takeover": "本地区存量名册正在接管，请待完成后再编制",
    "document-booked-otherwise": "此文号已按其他金额入账",
    "more-than-outstanding": "超过未追回的金额",
    "not-known-dead": "没有死亡记录，不能向继承人支付",
    "more-than-unspent": "超过该儿童的结余",
    "case-resolved": "此问题已经销号",
    "month-not-over": "当月尚未结束，不能结账",
    "month-closed": "该月或其后月份已经结账",
    "cycles-under-way": "该月尚有已提交而未关闭的批次",
    "not-reconciled": "该月尚有未处理的差异",
    "submission-locked": "账目与银行核对一致之前不得提交：数据库可能曾被恢复到以前",
    "with-the-bank": "银行只收到本批部分款项，请先与银行核对",
    "nothing-paid": "追回金额超过当月已发金额",
    "offset-not-allowed": "抵扣须有本人同意或书面决定，不得向遗产或继承人抵扣",
    "administrative-use": "儿童资金不得用于机构行政事业费",
    "nothing-to-handle": "此复核申请没有待重新核定的事项",
    "clause-not-in-force": "行为当日没有施行含此条款的容错清单",
}


def sentence_of(status: int, body: dict[str, Any]) -> str:
    """What a user reads: the kind in Chinese, and in brackets the fields or the detail that the service named."""
    kind = str(body.get("type", "")).rpartition("/")[2]
    sentence = _BY_KIND.get(kind) or f"请求未被接受（{status}）"
    fields = "；".join(f"{error['path']}：{error['message']}" for error in body.get("errors", []))
    detail = fields or body.get("detail", "")
    return f"{sentence}（{detail}）" if detail and detail != body.get("title") else sentence
