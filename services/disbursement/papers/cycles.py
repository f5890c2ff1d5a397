"""The papers of one cycle: 资金申请表, 会签单, 发放清册, 拨付凭证, 代发文件, 退回清单, 重发清单."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from libs.common.money import yuan_text
from libs.common.papers.lists import ListPaper, Titled
from libs.common.period import SHANGHAI
from libs.common.vocabulary import SUBSIDY_NAMES
from services.disbursement.words import GRANTED_BY, HOLDERS, OUTCOMES, cause_text, code_text

Row = Mapping[str, Any]

STEPS = {
    "draft": "已编制",
    "concurred": "已会签",
    "approved": "已审批",
    "submitted": "已提交银行",
    "settled": "银行已回盘",
    "closed": "已对账关闭",
}


@dataclass(frozen=True, slots=True)
class Made:
    """For which cycle a paper is made, by whom, and when."""

    cycle: Mapping[str, Any]
    made_by: str
    on: date

    def paper(self, kind: str, name: str, office: str, columns: Sequence[Titled], rows: Any, **more: Any) -> ListPaper:
        cycle = self.cycle
        about = (
            f"发放月份：{cycle['period']}",
            _subsidy(cycle["subsidy"]),
            f"状态：{STEPS[cycle['status']]}",
            "单位：元",
        )
        return ListPaper(
            name=f"残疾人两项补贴{name}",
            number=f"{kind}-{cycle['area']}-{cycle['period']}-{cycle['cycle_id'].hex[-6:]}",
            area=cycle["area"],
            office=office,
            dated=self.on,
            made_by=self.made_by,
            made_on=self.on,
            columns=columns,
            rows=list(rows),
            about="　".join(about),
            **more,
        )


def funds_application(made: Made, needs: Sequence[Row], grants: Sequence[Row]) -> ListPaper:
    """What the cycle needs of each book, and how the levels of government share it (as they share what was granted)."""
    columns = (
        Titled("补贴项目"),
        Titled("资金所属地区"),
        Titled("人数"),
        Titled("人月数"),
        Titled("申请金额", money=True),
        Titled("其中补发", money=True),
        Titled("账上可用", money=True),
        Titled("缺口", money=True),
        Titled("分担（按各级下达比例）"),
    )
    rows = [
        (
            SUBSIDY_NAMES[need["subsidy"]],
            need["book_area"],
            need["persons"],
            need["months"],
            need["fen"],
            need["arrears_fen"],
            need["available_fen"],
            _short_fen(need),
            _shares(need, [g for g in grants if (g["area"], g["subsidy"]) == (need["book_area"], need["subsidy"])]),
        )
        for need in needs
    ]
    names = ("persons", "months", "fen", "arrears_fen", "available_fen")
    sums = (*(sum(need[name] for need in needs) for name in names), sum(_short_fen(need) for need in needs))
    return made.paper(
        "ZJSQ", "资金申请表", "民政局", columns, rows, total=("合计", "", *sums, ""), signed_by=("民政", "财政")
    )


def _short_fen(need: Row) -> int:
    return max(0, int(need["fen"] - need["available_fen"]))


def _shares(need: Row, grants: Sequence[Row]) -> str:
    """Largest remainder to the last level, so that the shares add up to the need."""
    granted = sum(grant["fen"] for grant in grants)
    if not granted:
        return "本年未下达"
    shares, left = [], need["fen"]
    for grant in grants:
        share = left if grant is grants[-1] else need["fen"] * grant["fen"] // granted
        left -= share
        shares.append(f"{GRANTED_BY[grant['granted_by']]} {yuan_text(share)}")
    return "；".join(shares)


def concurrence(made: Made, by_subsidy: Sequence[Row]) -> ListPaper:
    """会签单: what is paid and what is not, who drew it up, concurred, approved."""
    cycle = made.cycle
    columns = (Titled("补贴项目"), Titled("处理"), Titled("人数"), Titled("人月数"), Titled("金额", money=True))
    rows = [
        (SUBSIDY_NAMES[row["subsidy"]], OUTCOMES[row["outcome"]], row["persons"], row["months"], row["fen"])
        for row in by_subsidy
    ]
    steps = (
        ("民政编制", _signed(cycle["created_by"], cycle["created_at"])),
        ("残联会签", _signed(cycle["concurred_by"], cycle["concurred_at"])),
        ("财政审批", _signed(cycle["approved_by"], cycle["approved_at"])),
        ("提交银行", _signed(cycle["requested_by"], cycle["submitted_at"])),
    )
    return made.paper(
        "HQ", "发放会签单", "残疾人联合会", columns, rows, facts=steps, signed_by=("民政", "残联", "财政")
    )


def roster(made: Made, items: Sequence[Row]) -> ListPaper:
    """发放花名册: who is paid what for which month, and who is not, and why."""
    columns = (
        Titled("序号"),
        Titled("姓名"),
        Titled("补贴项目"),
        Titled("等级"),
        Titled("所属月份"),
        Titled("金额（元）", money=True),
        Titled("收款人"),
        Titled("账号后四位"),
        Titled("状态"),
        Titled("说明"),
    )
    rows = [
        (
            number,
            item["name"],
            SUBSIDY_NAMES[item["subsidy"]],
            item["level"],
            f"{item['period']:%Y-%m}",
            item["amount_fen"],
            item["holder_name"],
            item["number_last4"],
            OUTCOMES[item["state"]],
            code_text(item["reason"])[0] if item["state"] in ("failed", "returned") else cause_text(item["reason"]),
        )
        for number, item in enumerate(items, start=1)
    ]
    paid_fen = sum(item["amount_fen"] for item in items if item["state"] in ("pending", "sent", "settled"))
    return made.paper(
        "HMC",
        "发放花名册",
        "民政局",
        columns,
        rows,
        notes=(f"合计应发（元）：{yuan_text(paid_fen)}",),
        signed_by=("制表", "复核", "审批"),
    )


def voucher(made: Made, batches: Sequence[Row]) -> ListPaper:
    """拨付凭证: what went to the bank, batch by batch, and what of it was paid."""
    columns = (
        Titled("批次"),
        Titled("补贴项目"),
        Titled("资金所属地区"),
        Titled("预算年度"),
        Titled("笔数"),
        Titled("拨付金额", money=True),
        Titled("到账金额", money=True),
        Titled("退回金额", money=True),
        Titled("银行受理时间"),
    )
    rows = [
        (
            batch["batch_id"].hex[-8:],
            SUBSIDY_NAMES[batch["subsidy"]],
            batch["book_area"],
            batch["book_year"],
            batch["payments"],
            batch["fen"],
            batch["settled_fen"],
            batch["back_fen"],
            _moment(batch["accepted_at"]),
        )
        for batch in batches
    ]
    sums = [sum(batch[name] for batch in batches) for name in ("payments", "fen", "settled_fen", "back_fen")]
    return made.paper(
        "BFPZ",
        "资金拨付凭证",
        "财政局",
        columns,
        rows,
        total=("合计", "", "", "", *sums, ""),
        signed_by=("经办", "复核", "负责人"),
    )


def bank_list(made: Made, transfers: Sequence[Row]) -> ListPaper:
    """代发文件, to be read: payee, account, amount, item. For finance alone: accounts are whole."""
    columns = (
        Titled("序号"),
        Titled("付款编号"),
        Titled("收款人"),
        Titled("账号"),
        Titled("开户行"),
        Titled("金额（元）", money=True),
        Titled("补贴项目"),
        Titled("发放周期"),
    )
    rows = [
        (
            number,
            item["payment_id"],
            item["payee_name"],
            item["account"],
            item["bank"],
            item["amount_fen"],
            item["project"],
            item["period_text"],
        )
        for number, item in enumerate(transfers, start=1)
    ]
    total = ("合计", "", "", "", "", sum(item["amount_fen"] for item in transfers), "", "")
    return made.paper("DF", "代发清单", "财政局", columns, rows, total=total, signed_by=("经办", "复核", "银行签收"))


def returns(made: Made, items: Sequence[Row]) -> ListPaper:
    """退回清单: what the bank could not pay, its code and what the township must do."""
    columns = (*_PAYEE, Titled("退回日期"), Titled("原因"), Titled("处理办法"))
    rows = [
        (*_payee(number, item), item["returned_on"] or item["failed_on"], *code_text(item["code"]))
        for number, item in enumerate(items, start=1)
    ]
    return made.paper("TH", "发放退回清单", "财政局", columns, rows, signed_by=("财政", "民政", "乡镇（街道）"))


def reissues(made: Made, items: Sequence[Row]) -> ListPaper:
    """重发清单: what is paid again, and why the attempt before was not."""
    columns = (*_PAYEE, Titled("第几次"), Titled("前次退回原因"), Titled("本次状态"))
    rows = [
        (*_payee(number, item), item["attempt"], code_text(item["before_code"])[0], OUTCOMES[item["status"]])
        for number, item in enumerate(items, start=1)
    ]
    return made.paper("CF", "重新发放清单", "财政局", columns, rows, signed_by=("财政", "民政"))


_PAYEE = (
    Titled("序号"),
    Titled("姓名"),
    Titled("补贴项目"),
    Titled("所属月份"),
    Titled("金额（元）", money=True),
    Titled("收款人"),
    Titled("账户类型"),
    Titled("账号后四位"),
)


def _payee(number: int, item: Row) -> tuple[Any, ...]:
    return (
        number,
        item["name"],
        SUBSIDY_NAMES[item["subsidy"]],
        f"{item['period']:%Y-%m}",
        item["amount_fen"],
        item["holder_name"],
        HOLDERS.get(item["holder"], ""),
        item["number_last4"],
    )


def _subsidy(subsidy: Any) -> str:
    return SUBSIDY_NAMES[subsidy] if subsidy else "两项补贴"


def _signed(by: Any, at: Any) -> str:
    return f"{by}　{_moment(at)}" if by else "—"


def _moment(at: Any) -> str:
    return at.astimezone(SHANGHAI).strftime("%Y-%m-%d %H:%M") if at else "—"
