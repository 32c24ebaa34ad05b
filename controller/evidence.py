"""What was found about an image, and what was proved: two types, on purpose.

`Evidence` is bytes somebody stored beside an image, taken apart by `formats/` and believed by nobody. `Verified` is a fact
about one digest that a judge in `verify/` established under one authority; nothing else makes one, and nothing else allows.
"""

import hashlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final, Protocol

from controller.errors import Reason, Undecided
from controller.reference import Digest, Reference, Repository

COSIGN_SIGN_PREDICATE: Final = "https://sigstore.dev/cosign/sign/v1"
"""Predicate type of the statement that is an image *signature* (cosign 3); no other predicate meets `signature`."""

_NO_ANNOTATIONS: Final[Mapping[str, str]] = MappingProxyType({})


class Format(StrEnum):
    """The container a piece of evidence came in."""

    COSIGN_SIGNATURE = "cosign signature"
    COSIGN_ATTESTATION = "cosign attestation"
    BUNDLE = "sigstore bundle"
    NOTATION = "notation signature"
    SIMPLE_SIGNING = "openpgp signature"


class Claim(StrEnum):
    """What a verified piece says: `signature` ("this image is ours") or `attestation` (a statement with a predicate)."""

    SIGNATURE = "signature"
    ATTESTATION = "attestation"


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a piece was found.

    `place` is for people: `tag sha256-….sig, layer 2` or `referrer sha256:…`. `manifest` is the digest of the manifest that
    names the piece.
    """

    repository: Repository
    manifest: Digest
    place: str

    def __str__(self) -> str:
        return f"{self.repository} {self.place}"


@dataclass(frozen=True, slots=True)
class SimpleSigning:
    """A simple-signing claim and one signature over exactly its bytes (cosign SIGNATURE_SPEC)."""

    payload: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class EnvelopeSignature:
    """One signature of a DSSE envelope; `keyid` is an unauthenticated hint (DSSE protocol, "keyid")."""

    keyid: str
    signature: bytes


@dataclass(frozen=True, slots=True)
class Envelope:
    """A DSSE envelope, decoded. The signatures are over PAE(payload_type, payload).

    `stored_sha256` is the SHA-256 of the envelope's own bytes where the container stores it by itself (cosign `.att`): log
    entries and timestamps of such an envelope are about these bytes.
    """

    payload_type: str
    payload: bytes
    signatures: tuple[EnvelopeSignature, ...]
    stored_sha256: bytes = b""


@dataclass(frozen=True, slots=True)
class MessageSignature:
    """A signature directly over the image manifest's bytes (sigstore_common.proto, MessageSignature).

    `digest` is what the bundle says it signed: a hint. `artifact` holds the manifest's bytes once the pipeline fetched them,
    for algorithms that sign the message and not its hash.
    """

    algorithm: str
    digest: bytes
    signature: bytes
    artifact: bytes | None = None


@dataclass(frozen=True, slots=True)
class OpenPgpMessage:
    """One signed OpenPGP message (RFC 9580 section 10.3), uncompressed: the claim and exactly one signature over it."""

    message: bytes


@dataclass(frozen=True, slots=True)
class Target:
    """What a Notary Project payload must name beside the digest: the real manifest's media type, and its size in bytes."""

    media_type: str
    size: int


@dataclass(frozen=True, slots=True)
class NotationEnvelope:
    """A Notary Project signature envelope as stored; `media_type` (of its layer) says whether it is JWS or COSE.

    `target` describes the manifest being judged once the pipeline fetched it.
    """

    media_type: str
    raw: bytes
    target: Target | None = None


Content = SimpleSigning | Envelope | MessageSignature | OpenPgpMessage | NotationEnvelope


@dataclass(frozen=True, slots=True)
class Material:
    """What travels beside a signature to help verify it. All of it is a hint until a judge proved it.

    `certificate` and `chain` are the bytes as found (DER or PEM), `log_entries` and `timestamps` the raw entries.
    `proofs_required` says that the container's version asks for an inclusion proof with each entry (bundles from 0.2 on).
    """

    key_hint: str = ""
    certificate: bytes = b""
    chain: tuple[bytes, ...] = ()
    log_entries: tuple[bytes, ...] = ()
    timestamps: tuple[bytes, ...] = ()
    proofs_required: bool = False


@dataclass(frozen=True, slots=True)
class Evidence:
    """One piece found beside an image.

    `id` addresses everything a judge may read (content, material, format), so that a verdict remembered under it can never
    be a verdict on other bytes. `annotations` are the unsigned ones of layer and manifest, for display.
    """

    id: str
    format: Format
    origin: Origin
    content: Content
    material: Material = field(default_factory=Material)
    annotations: Mapping[str, str] = field(default_factory=lambda: _NO_ANNOTATIONS)
    size: int = 0

    @classmethod
    def of(
        cls,
        form: Format,
        origin: Origin,
        content: Content,
        material: Material,
        annotations: Mapping[str, str] = _NO_ANNOTATIONS,
    ) -> "Evidence":
        """Make a piece and address it by its content."""
        own = _parts(content)
        parts = (*own, *_material_parts(material))
        # How many parts are content is said first: a second signature must not be able to pose as a key hint.
        state = hashlib.sha256(f"{form} {type(content).__name__} {len(own)}".encode())
        for part in parts:  # each part with its length in front, so that no two lists of parts hash alike
            state.update(len(part).to_bytes(8, "big"))
            state.update(part)
        return cls(state.hexdigest(), form, origin, content, material, annotations, sum(map(len, parts)))

    def without_payload(self) -> "Evidence":
        """The same piece for display and as a key to remembered verdicts; no judge is ever shown it."""
        return replace(self, content=SimpleSigning(b"", b""), material=Material())


@dataclass(frozen=True, slots=True)
class Signer:
    """Who signed, in the form that quorum counts (design, rule 5).

    `id` is equal for two signatures of one signer: `key:sha256:<hex of SPKI>` for keys. `name` is for people. `key` is the
    SHA-256 (hex) of the public key that signed, where the format shows it: two signers with one key are one, and one signer
    may have many.
    """

    id: str
    name: str
    key: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Verified:
    """A fact: `signer`, whom `authority` trusts, says `claim` about `digest`. Made in `verify/` only.

    `predicate` is the decoded predicate of an attestation (JSON value), `annotations` the signed ones of a signature.
    `valid_until` (POSIX seconds) is the earliest time at which the fact must be judged again. `identity` is the image name
    that was signed, where the format makes a promise about it (OpenPGP): such a fact is about images of that name only, and
    `decision/` compares it with the image being judged.
    `warnings` are checks that failed and that the authority was told only to report (Notary Project levels). `rests_on` are
    the public keys it was proved by, the signer's and those of its chain, as `key:sha256:<hex of SPKI>`, and its
    certificates, as `certificate:sha256:<hex of DER>`: with one of them revoked it is believed no more.
    `made` is when it was signed (POSIX seconds), the earliest time that anybody proved; None where nothing does. `fails` is
    set where the statement is believed and its content is not what was asked for: such a fact meets nothing.
    """

    digest: Digest
    authority: str
    signer: Signer
    claim: Claim
    evidence: str
    origin: Origin
    format: Format
    predicate_type: str = ""
    predicate: Any = None
    annotations: Mapping[str, str] = field(default_factory=lambda: _NO_ANNOTATIONS)
    valid_until: float = math.inf
    identity: Reference | None = None
    warnings: tuple[Reason, ...] = ()
    rests_on: frozenset[str] = frozenset()
    made: float | None = None
    fails: Reason | None = None


@dataclass(frozen=True, slots=True)
class Question:
    """A certificate's status, to be asked at `url`: an OCSP request to post, or where `request` is empty a CRL to get."""

    url: str
    request: bytes = b""


Answers = Mapping[Question, bytes | Undecided]
"""What came back, unproved, or why nothing did."""


class Needs(Exception):  # noqa: N818 - a request, not an error
    """A judge proved a chain and now needs the status of its certificates; judging itself does no I/O.

    Whoever asked the judge fetches `questions` and calls `resume` with the answers, which returns what `Judge.judge` returns
    or raises what it raises: `Needs` again where one answer leads to the next question.
    """

    def __init__(self, questions: tuple[Question, ...], resume: "Callable[[Answers], tuple[Verified, ...]]") -> None:
        """Ask `questions`, then go on with `resume`."""
        self.questions = questions
        self.resume = resume
        super().__init__(", ".join(question.url for question in questions))


class Judge(Protocol):
    """One authority, ready to judge. `fingerprint` changes when, and only when, anything it would believe changes."""

    @property
    def name(self) -> str:
        """The authority's name in its policy."""

    @property
    def fingerprint(self) -> str:
        """Identity of everything this judge trusts."""

    @property
    def description(self) -> str:
        """Whom it trusts, for people: `key SHA256:ab12…`."""

    def judge(self, evidence: Evidence, subject: Digest, now: float) -> tuple[Verified, ...]:
        """Judge one piece of evidence about `subject` at `now` (POSIX seconds); one fact per distinct signer, at least one.

        Raises:
            Refused: Not proved, and why. `Refused.predicate_type` is set where the signature held but the statement is about
                something else.
            Undecided: What the authority trusts could not be loaded.
            Needs: The chain is proved; the status of its certificates is wanted.
        """


def _parts(content: Content) -> tuple[bytes, ...]:
    match content:
        case SimpleSigning(payload, signature):
            return (payload, signature)
        case Envelope(payload_type, payload, signatures, stored):
            parts = (part for entry in signatures for part in (entry.keyid.encode(), entry.signature))
            return (payload_type.encode(), payload, stored, *parts)
        case MessageSignature(algorithm, digest, signature, artifact):
            return (algorithm.encode(), digest, signature, artifact or b"")
        case OpenPgpMessage(message):
            return (message,)
        case NotationEnvelope(media_type, raw, target):
            about = f"{target.size} {target.media_type}" if target else ""
            return (media_type.encode(), raw, about.encode())


def _material_parts(material: Material) -> tuple[bytes, ...]:
    return (
        material.key_hint.encode(),
        material.certificate,
        len(material.chain).to_bytes(4, "big"),
        *material.chain,
        len(material.log_entries).to_bytes(4, "big"),
        *material.log_entries,
        bytes((material.proofs_required,)),
        *material.timestamps,
    )
