"""in-toto statements (in-toto/attestation, spec/v1/statement.md; v0.1 is what cosign 2 writes).

Read only after a signature over them held: nothing here is worth anything before that.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from controller.documents import items, members, optional_text, read_object, text, texts, unfolded
from controller.errors import Code, Refused
from controller.reference import Digest
from controller.settings import Limits

PAYLOAD_TYPE: Final = "application/vnd.in-toto+json"
_TYPES: Final = ("https://in-toto.io/Statement/v0.1", "https://in-toto.io/Statement/v1")
_WHAT: Final = "in-toto statement"


@dataclass(frozen=True, slots=True)
class Subject:
    """What a statement is about. `name` may be empty and proves nothing.

    `digests` maps an algorithm's name to hex as written; `annotations` are those with a string as value.
    """

    name: str
    digests: Mapping[str, str]
    annotations: Mapping[str, str]

    def is_about(self, digest: Digest) -> bool:
        """Whether it carries exactly `digest`: sha256 or sha512, lower-case hex, no other algorithm, no name."""
        return self.digests.get(digest.algorithm) == digest.hex


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement: subjects, and a predicate (any JSON value, also a string) of a type."""

    predicate_type: str
    subjects: tuple[Subject, ...]
    predicate: Any


def parse(raw: bytes, limits: Limits) -> Statement:
    """Read a statement, v0.1 or v1.

    Names inside the predicate and its maps are somebody else's, so they may differ in letter case only; the statement's own
    may not.

    Raises:
        Refused: `Malformed`, `Ambiguous` or `LimitExceeded`.
    """
    document = read_object(raw, _WHAT, limit=limits.attestation_bytes, fold_names=False)
    unfolded(document, _WHAT)
    kind = text(document, "_type", _WHAT)
    if kind not in _TYPES:
        raise Refused(
            Code.MALFORMED, f"{_WHAT} is of an unknown version", expected=" or ".join(_TYPES), found=repr(kind[:80])
        )
    predicate_type = text(document, "predicateType", _WHAT)
    if not predicate_type:
        raise Refused(Code.MALFORMED, f"{_WHAT}.predicateType is empty")
    entries = items(document, "subject", _WHAT, limit=limits.subjects_per_statement)
    subjects = tuple(_subject(entry, f"{_WHAT}.subject[{index}]") for index, entry in enumerate(entries))
    return Statement(predicate_type, subjects, document.get("predicate"))


def _subject(entry: Any, what: str) -> Subject:
    if not isinstance(entry, dict):
        raise Refused(Code.MALFORMED, f"{what} must be an object", found=type(entry).__name__)
    unfolded(entry, what)
    digests = texts(entry, "digest", what)
    unfolded(digests, f"{what}.digest")
    annotations = members(entry, "annotations", what)
    return Subject(
        optional_text(entry, "name", what),
        digests,
        {name: value for name, value in annotations.items() if isinstance(value, str)},
    )
