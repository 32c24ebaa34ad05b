"""A judge that also reads what it verified: an authority's statements, with what is wrong with their content.

It wraps the authority's own judge, so that a verdict on content is remembered as any verdict is, under the evidence and
everything that was asked of it (design, section 7), and a long payload is judged once and dropped.
"""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Final, Protocol

from controller.errors import Code, Reason, Refused
from controller.evidence import Answers, Claim, Envelope, Evidence, Judge, Needs, Verified
from controller.policy.predicate_types import is_of
from controller.reference import Digest

_ENGINE: Final = "content 1"


class ContentRule(Protocol):
    """What must be true of a predicate. `fingerprint` changes when, and only when, what it asks does."""

    @property
    def fingerprint(self) -> str:
        """Identity of what is asked."""

    def problem(self, predicate: Any) -> Reason | None:
        """Why a predicate (any JSON value) does not do; None where it does.

        Raises:
            Refused: It cannot be read; that is a reason as well.
        """


class ContentJudge:
    """The authority of `inner`, for statements of `types`: each fact carries what `rules` have against it.

    Args:
        inner: Verifies.
        types: Predicate types that are read; facts of another type pass through as they are.
        rules: What must be true of the predicate.
        max_age: Seconds since the proven time of signing that a statement counts; None for ever.
    """

    __slots__ = ("_inner", "_max_age", "_rules", "_types", "description", "fingerprint", "name")

    def __init__(
        self, inner: Judge, types: Sequence[str], rules: Sequence[ContentRule], max_age: float | None = None
    ) -> None:
        self._inner = inner
        self._types = tuple(types)
        self._rules = tuple(rules)
        self._max_age = max_age
        self.name = inner.name
        self.description = inner.description
        asked = (_ENGINE, inner.fingerprint, *self._types, f"age={max_age}", *(rule.fingerprint for rule in self._rules))
        self.fingerprint = hashlib.sha256("\n".join(asked).encode()).hexdigest()

    def judge(self, evidence: Evidence, subject: Digest, now: float) -> tuple[Verified, ...]:
        """As `Judge.judge`; a fact whose content does not do has `fails` set.

        Raises:
            Refused: `WrongFormat` for what is no statement; else as the authority refuses.
            Needs: As the authority asks.
        """
        if not isinstance(evidence.content, Envelope):
            raise Refused(Code.WRONG_FORMAT, "not a statement", found=evidence.format)
        try:
            return self._read(self._inner.judge(evidence, subject, now), now)
        except Needs as needs:
            raise Needs(needs.questions, partial(self._resume, needs, now)) from None

    def _resume(self, needs: Needs, now: float, answers: Answers) -> tuple[Verified, ...]:
        try:
            return self._read(needs.resume(answers), now)
        except Needs as more:
            raise Needs(more.questions, partial(self._resume, more, now)) from None

    def _read(self, facts: tuple[Verified, ...], now: float) -> tuple[Verified, ...]:
        found: dict[int, Reason | None] = {}  # the facts of one statement share its predicate

        def problem(fact: Verified) -> Reason | None:
            known = id(fact.predicate)
            if known not in found:
                found[known] = self._problem(fact.predicate)
            return found[known]

        return tuple(self._judged(fact, problem(fact), now) if self._is_read(fact) else fact for fact in facts)

    def _is_read(self, fact: Verified) -> bool:
        return fact.claim is Claim.ATTESTATION and any(is_of(fact.predicate_type, wanted) for wanted in self._types)

    def _problem(self, predicate: Any) -> Reason | None:
        try:
            return next((reason for rule in self._rules if (reason := rule.problem(predicate))), None)
        except Refused as error:
            return error.reason
        except Exception as error:  # noqa: BLE001 - what could not be read does not do (CVE-2026-44310)
            return Reason(Code.INTERNAL, "the content could not be judged", found=type(error).__name__)

    def _judged(self, fact: Verified, problem: Reason | None, now: float) -> Verified:
        aged, until = self._aged(fact.made, now)
        reason = aged or problem
        return replace(fact, fails=reason) if reason else replace(fact, valid_until=min(fact.valid_until, until))

    def _aged(self, made: float | None, now: float) -> tuple[Reason | None, float]:
        """Why a statement is too old, or until when it is not."""
        if self._max_age is None:
            return None, math.inf
        expected = f"at most {_written(self._max_age)} old"
        if made is None:
            return Reason(Code.TOO_OLD, "nothing proves when it was signed", expected, "no timestamp or log entry"), math.inf
        if now > made + self._max_age:
            return Reason(Code.TOO_OLD, "it is too old", expected, _written(now - made)), math.inf
        return None, made + self._max_age


def _written(seconds: float) -> str:
    hours = seconds / 3600
    return f"{hours:g}h" if hours.is_integer() else f"{hours:.1f}h"
