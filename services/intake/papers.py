"""The papers of an application: what the person is handed, what the offices sign, what the village reads. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal, get_args

from libs.common.areas import county_of, full_name_of
from libs.common.events.eligibility import Reason
from libs.common.identity import mask_id_number
from libs.common.papers.lists import ListPaper, Titled
from libs.common.papers.printing import Facts, Grid, Heading, Items, Paper, Paragraph, Part, Signatures, day_text
from libs.common.vocabulary import SUBSIDY_NAMES, Channel, Stage, Subsidy, in_chinese
from services.intake.applications import STAGE_NAMES, Application
from services.intake.archives import DocumentKind
from services.intake.declarations import Declaration
from services.intake.errors import NoSuchPaper
from services.intake.guide import Guide
from services.intake.notice import Notice

PaperKind = Literal["commitment", "acceptance", "completion", "rejection", "approval-form"]
PAPER_KINDS: tuple[PaperKind, ...] = get_args(PaperKind)


@dataclass(frozen=True, slots=True)
class Review:
    stage: Stage
    outcome: str
    reason: str | None
    sub: str
    reviewed_on: date


@dataclass(frozen=True, slots=True)
class Case:
    """All that the papers of one application say. `missing` are documents that its archive lacks."""

    application: Application
    declaration: Declaration
    receipt_no: str
    received_on: date
    reviews: Sequence[Review]
    missing: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Maker:
    """Who has a paper made, and when."""

    sub: str
    on: date


def paper_of(kind: PaperKind, case: Case, maker: Maker) -> Paper:
    """Any but the letter of notice and commitment. NoSuchPaper when the application has none, as it stands."""
    require_paper(kind, case)
    return _PAPERS[kind](case, maker)


def papers_of(case: Case) -> list[PaperKind]:
    """The papers that an application has, as it stands."""
    return [kind for kind in PAPER_KINDS if _has(kind, case)]


def require_paper(kind: PaperKind, case: Case) -> None:
    """NoSuchPaper when the application has no paper of this kind, as it stands."""
    if not _has(kind, case):
        raise NoSuchPaper(f"the application is {case.application.status}: it has no paper of this kind")


def _has(kind: PaperKind, case: Case) -> bool:
    application = case.application
    match kind:
        case "completion":
            return application.status == "returned"
        case "rejection":
            return application.status == "rejected" or (application.status == "approved" and bool(application.refused))
        case _:
            return True


def commitment_letter(notice: Notice, maker: Maker, case: Case | None = None, signed_on: date | None = None) -> Paper:
    """政策告知承诺书: the area's policy in plain words, the commitments, and room to sign; blank without a case."""
    filled = [_identity(case)] if case else [Facts([("申请人", ""), ("联系电话", "")])]
    return Paper(
        title="残疾人两项补贴政策告知承诺书",
        number=f"{notice.version}／{case.receipt_no}" if case else notice.version,
        area_name=full_name_of(notice.area, maker.on),
        office=_civil_affairs(notice.area, maker.on),
        dated=signed_on or maker.on,
        made_by=maker.sub,
        made_on=maker.on,
        parts=(
            *filled,
            Heading("一、政策告知"),
            Facts([(line.title, line.text) for line in notice.lines]),
            Heading("二、本人承诺"),
            Items(notice.commitments),
            Signatures(["申请人（监护人、代办人）", "经办人"]),
        ),
    )


def _acceptance(case: Case, maker: Maker) -> Paper:
    """受理通知书."""
    application = case.application
    return _letter(
        "受理通知书",
        case,
        maker,
        case.received_on,
        _identity(case),
        Paragraph(
            f"您于{day_text(application.applied_on)}通过{_CHANNELS[application.channel]}提交的"
            f"{_subsidies(application.subsidies)}申请，已于{day_text(case.received_on)}受理，编号{case.receipt_no}。"
        ),
        Paragraph("申请依次经乡镇（街道）初审、县级残联审核、县级民政部门审定。符合条件的，自递交申请当月起计发。"),
        Paragraph("凭编号和身份证号后四位，可随时查询办理进度。"),
        Signatures(["送达人", "签收人"]),
    )


def _completion(case: Case, maker: Maker) -> Paper:
    """补正通知书."""
    application = case.application
    assert application.due_on is not None
    missing = (Paragraph("档案中尚缺："), Items(list(case.missing))) if case.missing else ()
    return _letter(
        "补正通知书",
        case,
        maker,
        application.reviewed_on or case.received_on,
        _identity(case),
        Paragraph(f"您的{_subsidies(application.subsidies)}申请需要补正：{application.reason or ''}"),
        *missing,
        Paragraph(
            f"请于{day_text(application.due_on)}前补正。按期补正的，仍自首次递交申请的当月起计发；"
            "逾期补正的，自补正当月起计发。"
        ),
        Signatures(["送达人", "签收人"]),
    )


def _rejection(case: Case, maker: Maker) -> Paper:
    """不予批准通知书: for whole applications and for the subsidy of two that was not granted."""
    application = case.application
    refused: tuple[Subsidy, ...] = application.subsidies
    if application.status == "approved":
        refused = tuple(item.subsidy for item in application.refused)
    reasons = [
        (SUBSIDY_NAMES[item.subsidy], in_chinese(reason.detail), in_chinese(reason.citation))
        for item in application.refused
        for reason in _failing(item.reasons)
    ]
    grounds: list[Part] = [Paragraph(f"理由：{application.reason}")] if application.reason else []
    # Whoever was refused before, or without, a rule that failed is told at least what the whole examination rests on.
    grounds.append(Grid(("补贴", "不符合的条件", "依据"), reasons) if reasons else Paragraph(f"依据：{_BASIS}"))
    return _letter(
        "不予批准通知书",
        case,
        maker,
        application.decided_on or maker.on,
        _identity(case),
        Paragraph(f"您于{day_text(application.applied_on)}提交的{_subsidies(refused)}申请，经审核不予批准。"),
        *grounds,
        Paragraph(
            "如有异议，可向受理申请的乡镇（街道）或县级民政部门提出复核申请，由未参与本次审核的工作人员办理；"
            "也可依法申请行政复议或者提起行政诉讼。情况变化后符合条件的，可随时再次申请。"
        ),
        Signatures(["送达人", "签收人"]),
    )


def _approval_form(case: Case, maker: Maker) -> Paper:
    """审批表: the application and the opinion of each office with name and date."""
    application, applicant = case.application, case.declaration.applicant
    rows = [
        (
            STAGE_NAMES[review.stage],
            _OUTCOMES[review.outcome],
            review.reason or "",
            review.sub,
            day_text(review.reviewed_on),
        )
        for review in case.reviews
    ]
    outcome = "、".join(SUBSIDY_NAMES[subsidy] for subsidy in application.granted) or "—"
    return _letter(
        "残疾人两项补贴审批表",
        case,
        maker,
        application.decided_on or case.received_on,
        _identity(case),
        Facts(
            [
                ("户籍地", full_name_of(applicant.hukou_area, maker.on)),
                ("申请补贴", _subsidies(application.subsidies)),
                ("申请日期", day_text(application.applied_on)),
                ("申请方式", _CHANNELS[application.channel]),
                (
                    "代办人",
                    f"{case.declaration.agent.name}（{case.declaration.agent.relation}）"
                    if case.declaration.agent
                    else "—",
                ),
                ("批准补贴", outcome),
                ("计发起始", f"{application.accrues_from:%Y-%m}" if application.granted else "—"),
            ]
        ),
        Heading("审核意见"),
        Grid(("环节", "意见", "说明", "经办人", "日期"), rows),
        Signatures(["乡镇（街道）", "县级残联", "县级民政部门"]),
        addressed=False,
    )


def service_guide(guide: Guide, published_on: date, maker: Maker) -> Paper:
    """办事指南: what somebody who wants to apply has to know."""
    parts: list[Part] = []
    for section in guide.sections:
        parts += [Heading(section.title), Items(section.lines)]
    return Paper(
        title="残疾人两项补贴办事指南",
        number=guide.version,
        area_name=full_name_of(guide.area, maker.on),
        office=_civil_affairs(guide.area, maker.on),
        dated=published_on,
        made_by=maker.sub,
        made_on=maker.on,
        parts=parts,
    )


@dataclass(frozen=True, slots=True)
class Listed:
    """One line of a public list (公示): no resident ID, no disability (国发〔2015〕52号; 个人信息保护法 art. 28)."""

    name: str
    area: str
    subsidy: Subsidy
    amount_fen: int
    from_period: str
    shown_until: date


def public_list(area: str, period: str, listed: Sequence[Listed], hotline: str, maker: Maker) -> ListPaper:
    """公示: who was newly approved in a month."""
    return ListPaper(
        name="残疾人两项补贴公示",
        number=f"{area}-{period}",
        area=area,
        office=_civil_affairs(area, maker.on),
        dated=maker.on,
        made_by=maker.sub,
        made_on=maker.on,
        columns=(
            Titled("姓名"),
            Titled("村（社区）所在乡镇"),
            Titled("补贴"),
            Titled("每月金额（元）", money=True),
            Titled("计发起始"),
            Titled("公示至"),
        ),
        rows=[
            (
                item.name,
                full_name_of(item.area, maker.on),
                SUBSIDY_NAMES[item.subsidy],
                item.amount_fen,
                item.from_period,
                item.shown_until.isoformat(),
            )
            for item in listed
        ],
        notes=(f"对公示内容有异议的，请拨打{hotline}或向所在乡镇（街道）、县级民政部门反映。",),
    )


def _letter(title: str, case: Case, maker: Maker, dated: date, *parts: Part, addressed: bool = True) -> Paper:
    area = case.application.area
    return Paper(
        title=title,
        number=case.receipt_no,
        area_name=full_name_of(area, maker.on),
        office=_civil_affairs(area, maker.on),
        dated=dated,
        made_by=maker.sub,
        made_on=maker.on,
        parts=parts,
        addressee=case.declaration.applicant.name if addressed else "",
    )


def _identity(case: Case) -> Facts:
    applicant = case.declaration.applicant
    return Facts([("申请人", applicant.name), ("居民身份证号", mask_id_number(applicant.id_number))])


def _civil_affairs(area: str, on: date) -> str:
    return f"{full_name_of(county_of(area) or area, on)}民政部门"


def _subsidies(subsidies: Iterable[Subsidy]) -> str:
    return "、".join(SUBSIDY_NAMES[subsidy] for subsidy in subsidies)


def _failing(reasons: Iterable[Reason]) -> list[Reason]:
    return [reason for reason in reasons if reason.outcome == "fail"]


_BASIS = "《国务院关于全面建立困难残疾人生活补贴和重度残疾人护理补贴制度的意见》（国发〔2015〕52号）"
DOCUMENT_NAMES: dict[DocumentKind, str] = {
    "id_card": "居民身份证或户口簿",
    "certificate": "残疾人证",
    "commitment": "签字的政策告知承诺书",
    "choice": "择高声明",
    "account": "社会保障卡或账户证明",
    "guardianship": "监护关系证明",
    "incapacity": "不能辨别自身行为的证明",
    "photo": "照片",
    "other": "其他材料",
}
_CHANNELS: dict[Channel, str] = {
    "counter": "窗口",
    "online": "网上办理",
    "cross_province": "跨省通办",
    "one_thing": "一件事一次办",
    "roster": "存量接管",
}
_OUTCOMES = {"approve": "同意", "return": "退回补正", "reject": "不予批准"}
_PAPERS = {
    "acceptance": _acceptance,
    "completion": _completion,
    "rejection": _rejection,
    "approval-form": _approval_form,
}
