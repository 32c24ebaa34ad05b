"""`/policies`: our own resources, judged when they are written (design, section 8).

What would only fail later is refused here: keys, patterns, scopes, lifetimes, and a misspelt field, which the schema lets by
so that it can be named. What is stored already may always be deleted, and changed where its spec stays as it is: labels and
finalizers of a policy that an older version accepted must not be held hostage.
"""

import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from controller.admission.response import Answer
from controller.admission.review import Operation, Review
from controller.compile.compiled import Snapshot
from controller.compile.exceptions import compile_exception
from controller.compile.policy import compile_written
from controller.compile.roots import Roots, check_root
from controller.errors import Code, Invalid
from controller.policy.store import POLICY_KINDS, TRUST_EXCEPTION, TRUST_ROOT, Document
from controller.policy.words import API_VERSION
from controller.settings import Limits

_KINDS: Final = (*POLICY_KINDS, TRUST_ROOT, TRUST_EXCEPTION)


class Resources:
    """Judges policies, trust roots and exceptions as they are written.

    Args:
        limits: As for compiling.
        snapshot: What is in force, None before the first was loaded.
        clock: POSIX seconds.
    """

    def __init__(
        self, limits: Limits, snapshot: Callable[[], Snapshot | None], clock: Callable[[], float] = time.time
    ) -> None:
        self._limits = limits
        self._snapshot = snapshot
        self._clock = clock

    def judge(self, review: Review) -> Answer:
        """Allowed, or denied with every field that is wrong."""
        value = review.object
        if review.operation not in {Operation.CREATE, Operation.UPDATE} or review.subresource or value is None:
            return Answer(allowed=True)
        if review.operation is Operation.UPDATE and _same_spec(value, review.old_object):
            return Answer(allowed=True)
        try:
            self._check(review, value)
        except Invalid as error:
            message = f"{review.kind[1]} {review.name or '(unnamed)'}: {error}"
            return Answer(allowed=False, message=message, audit={"code": error.reason.code})
        return Answer(allowed=True)

    def _check(self, review: Review, value: Mapping[str, Any]) -> None:
        kind = review.kind[1]
        if kind not in _KINDS or value.get("apiVersion") != API_VERSION:
            found = f"{str(value.get('apiVersion'))[:120]} {kind[:60]}"
            expected = f"{API_VERSION} {' or '.join(_KINDS)}"
            raise Invalid(Code.UNKNOWN_KIND, "this version of Sigward knows no such kind", expected=expected, found=found)
        document = Document(value)
        match kind:
            case "TrustException":
                compile_exception(document, self._limits, self._clock())
            case "TrustRoot":
                check_root(document, self._limits)
            case _:
                compile_written(document, self._limits, Roots({}, self._limits))
                if review.operation is Operation.CREATE:
                    self._check_room(document)

    def _check_room(self, document: Document) -> None:
        """One policy too many makes everything in its scope refused (`compile_policies`): better that it is not written."""
        snapshot, limits = self._snapshot(), self._limits
        if snapshot is None:
            return
        own = [policy for policy in snapshot.policies if policy.id.kind == document.kind]
        here = [policy for policy in own if policy.id.namespace == document.namespace]
        cluster = document.kind == "ClusterTrustPolicy"
        allowed = limits.policies if cluster else limits.policies_per_namespace
        if len(here) >= allowed:
            where = "the cluster" if cluster else f"namespace {document.namespace}"
            raise Invalid(Code.LIMIT_EXCEEDED, f"{where} has as many policies as it may have", expected=f"at most {allowed}")
        if not cluster and len(own) >= limits.trust_policies:
            expected = f"at most {limits.trust_policies}"
            raise Invalid(Code.LIMIT_EXCEEDED, "the cluster has as many TrustPolicies as it may have", expected=expected)


def _same_spec(value: Mapping[str, Any], old: object) -> bool:
    """Whether nothing that is judged changes; a part that slipped out of `spec` is one that does."""
    if not isinstance(old, Mapping) or old.get("apiVersion") != value.get("apiVersion"):
        return False
    return _judged(value) == _judged(old)


def _judged(value: Mapping[str, Any]) -> dict[str, Any]:
    """Everything but what the API server and the operator write."""
    return {name: part for name, part in value.items() if name not in {"metadata", "status"}}
