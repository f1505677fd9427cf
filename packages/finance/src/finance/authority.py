"""Who may make what binding: commands, events, state, decide, evolve.

Dated rules of one company. Whoever drafted or changed a document does not approve it (four eyes), and from some
amount on one person is not enough, or not just anybody. A rule counts from its first day until the next one's; the
day of the approval decides, not the day that a document is dated on, which its maker chooses.
"""

from collections.abc import Collection
from datetime import date
from typing import Final
from uuid import UUID, uuid5

import msgspec

from finance.money import BASE, LARGEST_MINOR, plain
from finance.refusal import ApprovalBeyondAuthority, AuthorityMalformed, MakerIsChecker, ReasonMissing
from finance.text import sized

SENIOR: Final = "approval:senior"
"""The permission that approvers of a senior tier need."""

MOST_APPROVERS: Final = 5
MOST_TIERS: Final = 10


class Tier(msgspec.Struct, frozen=True, kw_only=True):
    """What it takes above an amount, in minor units of the currency of the books: so many people, senior or not."""

    above_minor: int = 0
    approvers: int = 1
    senior: bool = False


ANYBODY: Final = Tier()


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """In force from this day on. With `four_eyes` the maker is never the checker; tiers rise."""

    valid_from: date
    four_eyes: bool = True
    tiers: tuple[Tier, ...] = ()

    def tier(self, worth_minor: int) -> Tier:
        """What an amount takes: the highest tier that it is above."""
        return next((one for one in reversed(self.tiers) if worth_minor > one.above_minor), ANYBODY)


SAFE: Final = Rule(valid_from=date.min)
"""What books are opened with, unless one person alone is said to keep them."""


class RuleSet(msgspec.Struct, frozen=True, kw_only=True, tag="authority.set/1"):
    rule: Rule
    reason: str


Event = RuleSet


class Authority(msgspec.Struct, frozen=True, kw_only=True):
    """`rules` is in the order of days, one a day; `version` counts its events.

    Books opened before there was any control have no state and no rule: then whoever has the permission decides alone.
    """

    rules: tuple[Rule, ...]
    version: int = 1

    def on(self, day: date) -> Rule | None:
        """The rule in force on a day."""
        return next((one for one in reversed(self.rules) if one.valid_from <= day), None)


class SetRule(msgspec.Struct, frozen=True, kw_only=True):
    """`today` is the day it is asked on."""

    rule: Rule
    reason: str
    today: date


Command = SetRule


def stream(tenant_id: str) -> str:
    """The one stream of a tenant's authority."""
    return str(uuid5(UUID(tenant_id), "authority"))


def decide(authority: Authority | None, command: Command) -> list[Event]:
    """The events of a command. A rule that takes another's place counts from tomorrow at the earliest.

    So nobody loosens a rule and uses that within the same day, unseen.

    Raises:
        AuthorityMalformed: tiers that do not rise or ask for nobody, or a day that is too early.
        TextMalformed: no reason.
    """
    rule, today = command.rule, command.today
    ruled = authority is not None and authority.on(today) is not None
    if rule.valid_from < today or (ruled and rule.valid_from == today):
        raise AuthorityMalformed(f"Expected a day after {today}, found {rule.valid_from}.")
    edges = [one.above_minor for one in rule.tiers]
    if (
        len(edges) > MOST_TIERS
        or edges != sorted(set(edges))
        or any(not 0 <= edge <= LARGEST_MINOR for edge in edges)
    ):
        raise AuthorityMalformed(
            f"Expected at most {MOST_TIERS} tiers whose amounts rise, found {edges} minor units."
        )
    people = [one.approvers for one in rule.tiers]
    if any(not 1 <= count <= MOST_APPROVERS for count in people):
        raise AuthorityMalformed(f"Expected 1 to {MOST_APPROVERS} approvers a tier, found {people}.")
    return [RuleSet(rule=rule, reason=sized(command.reason, "reason", 10, 500))]


def admit(
    rule: Rule, worth_minor: int, *, approver: str, makers: Collection[str], permissions: Collection[str]
) -> Tier:
    """Let somebody approve something that is worth so much; the tier that it falls into.

    Raises:
        MakerIsChecker: the approver drafted it or changed it.
        ApprovalBeyondAuthority: the tier takes somebody senior.
    """
    if rule.four_eyes and approver in makers:
        raise MakerIsChecker(f"{approver} made it.")
    tier = rule.tier(worth_minor)
    if tier.senior and SENIOR not in permissions:
        above = f"{plain(tier.above_minor, BASE)} {BASE}"
        raise ApprovalBeyondAuthority(f"Above {above} it needs the permission {SENIOR}.")
    return tier


def explained(rule: Rule | None, reason: str | None) -> str | None:
    """The reason of whoever undoes something.

    Raises:
        ReasonMissing: a rule is in force, and none was given.
        TextMalformed: it is too short or too long.
    """
    if reason is None and rule is None:
        return None
    if reason is None:
        raise ReasonMissing("Expected 10 to 500 characters.")
    return sized(reason, "reason", 10, 500)


def evolve(authority: Authority | None, event: Event) -> Authority:
    before = () if authority is None else authority.rules
    kept = [one for one in before if one.valid_from != event.rule.valid_from]
    rules = tuple(sorted((*kept, event.rule), key=lambda one: one.valid_from))
    return Authority(rules=rules, version=1 if authority is None else authority.version + 1)
