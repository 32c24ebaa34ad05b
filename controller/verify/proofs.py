"""What logs and timestamp authorities prove about one signature: that it was logged, and when it was made.

An entry by a log, or a timestamp by an authority, that the trusted root does not know counts as absent: it may be somebody
else's instance. One that claims to be of a known one must hold, or the evidence is refused as a whole.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, TypeVar

from controller.errors import Code, Refused
from controller.evidence import Envelope, Material
from controller.formats import log as entries
from controller.formats import recorded, timestamp
from controller.keys import Message
from controller.roots import TrustedRoot
from controller.settings import Limits
from controller.verify import log, time, tsa
from controller.verify.log import Logged, Signed
from controller.verify.time import Moment, Span

_UNKNOWN: Final = frozenset({Code.LOG_UNTRUSTED, Code.TIMESTAMP_UNTRUSTED})
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Proofs:
    """What is proved.

    `moments` are the proven times, `spans` the windows of everybody who proved anything. `logged` says that a trusted log
    holds the signature. `skipped` is why something that was there proved nothing, for the reason shown when it is missed.
    """

    moments: tuple[Moment, ...]
    spans: tuple[Span, ...]
    logged: bool
    skipped: Refused | None

    def at(self, now: float) -> tuple[Moment, ...]:
        """The times to judge at: those that are proven; without any, now, and why what was there proved nothing."""
        return self.moments or (time.unproven(now, str(self.skipped or "")),)


def check(material: Material, signed: Signed, root: TrustedRoot, *, log_required: bool, limits: Limits) -> Proofs:
    """Verify every log entry and timestamp beside a signature that held.

    Raises:
        Refused: For anything of a known log or authority that does not hold; with `log_required`, also where no known log
            holds the signature, or nothing proves a time (a Rekor v2 entry states none).
    """
    _bound(material.log_entries, "log entries", limits)
    _bound(material.timestamps, "timestamps", limits)
    required = material.proofs_required
    logged, unknown_log = _known(
        material.log_entries, lambda raw: _entry(raw, signed, root, limits, proof_required=required)
    )
    if log_required and not logged:
        raise unknown_log or Refused(Code.LOG_REQUIRED, "no log entry", expected=f"one by a log of {root.title}")
    message = _stamped(signed)
    stamped, unknown_tsa = _known(
        material.timestamps, lambda raw: tsa.check(timestamp.read(raw, limits), message, root, limits)
    )
    integrated = [Moment(one.time, f"log {one.log.url}") for one in logged if one.time is not None]
    moments = (*integrated, *(moment for moment, _ in stamped))
    if log_required and not moments:
        raise unknown_tsa or not_proven()
    spans = (*(Span(one.log.window, f"log {one.log.url}") for one in logged), *(span for _, span in stamped))
    time.check(moments, spans)
    return Proofs(moments, spans, bool(logged), unknown_tsa or unknown_log)


def not_proven() -> Refused:
    """The reason where a time is needed and nothing proves one."""
    return Refused(
        Code.TIME_NOT_PROVEN,
        "nothing proves when this was signed",
        expected="a timestamp, or a log entry with a signed entry timestamp",
    )


def _entry(raw: bytes, signed: Signed, root: TrustedRoot, limits: Limits, *, proof_required: bool) -> Logged:
    entry = entries.read(raw, limits)
    log.bind(entry, recorded.read(entry.body, limits), signed)
    return log.check(entry, root, limits, proof_required=proof_required)


def _stamped(signed: Signed) -> Message:
    """What a timestamp is over: the signature, or where an envelope is stored by itself (cosign `.att`) all of its bytes."""
    content = signed.content
    if isinstance(content, Envelope) and content.stored_sha256:
        return Message(None, {"sha256": content.stored_sha256})
    return Message(signed.signature)


def _known(items: Iterable[bytes], check_one: Callable[[bytes], _T]) -> tuple[list[_T], Refused | None]:
    found: list[_T] = []
    unknown: Refused | None = None
    for item in items:
        try:
            found.append(check_one(item))
        except Refused as error:
            if error.reason.code not in _UNKNOWN:
                raise
            unknown = unknown or error
    return found, unknown


def _bound(found: tuple[bytes, ...], what: str, limits: Limits) -> None:
    if len(found) > limits.log_entries_per_bundle:
        raise Refused(
            Code.LIMIT_EXCEEDED,
            f"too many {what}",
            expected=f"at most {limits.log_entries_per_bundle}",
            found=str(len(found)),
        )
