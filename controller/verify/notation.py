"""Notary Project signatures (notaryproject/specifications: signature-specification.md, trust-store-trust-policy.md).

In the order of "Signature Verification", "Steps": integrity, which every level enforces, then authenticity, expiry and
trusted time. Revocation comes last and elsewhere (`verify/x509.py`), for every kind of signature alike.
"""

import math
from typing import Final

from controller import certificates
from controller.certificates import Certificate
from controller.documents import members, read_object, text, texts
from controller.errors import Code, Reason, Refused, Undecided
from controller.evidence import Claim, NotationEnvelope, Target
from controller.formats import cose, jws, notation, timestamp
from controller.formats.notation import SIGNING_AUTHORITY, Opened
from controller.keys import Message
from controller.reference import Digest
from controller.settings import Limits
from controller.verify import codesigning, time, tsa
from controller.verify.claims import Said
from controller.verify.codesigning import Path
from controller.verify.pki import Level, Proved, Trust, begins, ends, enforced, names
from controller.verify.time import Moment, Span

_PAYLOAD: Final = "Notary Project payload"
_UNASKED: Final = "there is a timestamp, and the policy names no store tsa to believe it by"


def judge(envelope: NotationEnvelope, subject: Digest, now: float, trust: Trust) -> Proved:
    """Judge one envelope about `subject` at `now`, all but revocation.

    Raises:
        Refused: Not proved, and why.
        Undecided: The manifest that it must describe could not be had.
    """
    read = jws.open_envelope if envelope.media_type == notation.JWS else cose.open_envelope
    opened = read(envelope.raw, trust.limits)
    notation.check_headers(opened.headers)
    path = _integrity(opened, trust.limits)
    said = _target(opened.payload, subject, envelope.target, trust.limits)
    warnings: list[Reason] = []
    anchor: Certificate | None = None
    with enforced(warnings, strictly=trust.level is not Level.AUDIT):
        anchor = _authentic(opened, path, trust)
    trust.check_revoked(path)
    until = math.inf
    with enforced(warnings, strictly=trust.level is Level.STRICT):
        until = _unexpired(opened, now)
    moments: tuple[Moment, ...] = ()
    stamping: tuple[Path, ...] = ()
    with enforced(warnings, strictly=trust.level is Level.STRICT):
        moments, stamping = _timed(opened, path, now, trust)
    if not moments:  # nothing is proved but by the certificates' own windows, which end
        until = min(until, ends(path, now))
    signed_at = time.earliest(moments)
    return Proved(path, anchor, said, signed_at, until, stamping, warnings)


def _integrity(opened: Opened, limits: Limits) -> Path:
    """The chain, of which the first key made the signature with the one algorithm it may use.

    The chain's length was bounded before any certificate is read here.
    """
    path = tuple(
        certificates.parse(raw, f"certificate {number} of the chain", limit=limits.certificate_bytes)
        for number, raw in enumerate(opened.chain, 1)
    )
    expected = codesigning.algorithm(path[0])
    if opened.headers.algorithm != expected:
        raise Refused(
            Code.WRONG_ALGORITHM,
            "the signature names another algorithm than its certificate's",
            expected=expected,
            found=opened.headers.algorithm[:40],
        )
    codesigning.verify(path[0], opened.signature, opened.signed)
    codesigning.check(path)
    return path


def _target(payload: bytes, subject: Digest, target: Target | None, limits: Limits) -> Said:
    """What was signed ("Payload"): media type, digest and size must all be the manifest's."""
    if target is None:
        raise Undecided(
            Code.REGISTRY_ERROR, "the manifest that the signature describes could not be had", source=str(subject)
        )
    document = read_object(payload, _PAYLOAD, limit=limits.signature_bytes)
    artifact = members(document, "targetArtifact", _PAYLOAD)
    what = f"{_PAYLOAD}.targetArtifact"
    size = artifact.get("size")
    if isinstance(size, bool) or not isinstance(size, int):
        raise Refused(Code.MALFORMED, f"{what}.size must be a number", found=type(size).__name__)
    found = (text(artifact, "mediaType", what), text(artifact, "digest", what), size)
    expected = (target.media_type, str(subject), target.size)
    if found != expected:
        raise Refused(
            Code.WRONG_DIGEST, "the signature is about another image", expected=_described(expected), found=_described(found)
        )
    return Said(Claim.SIGNATURE, annotations=dict(texts(artifact, "annotations", what)))


def _described(artifact: tuple[str, str, int]) -> str:
    media_type, digest, size = artifact
    return f"{digest[:140]}, {media_type[:80]}, {size} bytes"


def _authentic(opened: Opened, path: Path, trust: Trust) -> Certificate:
    """The anchor nearest the root. Which store counts is the signing scheme's to say (signing-scheme.md)."""
    by_authority = opened.headers.scheme == SIGNING_AUTHORITY
    store = trust.stores.signing_authority if by_authority else trust.stores.ca
    anchor = next((one for one in reversed(path) if one in store), None)
    if anchor is None:
        raise Refused(
            Code.CERTIFICATE_UNTRUSTED,
            f"the chain leads to nobody in store {'signingAuthority' if by_authority else 'ca'}",
            expected=names(store),
            found=path[-1].subject[:200],
        )
    trust.check_end(path[0])
    return anchor


def _unexpired(opened: Opened, now: float) -> float:
    """signature-specification.md, "Expiry": expired when the current time is greater than or equal to it."""
    expiry = opened.headers.expiry
    if expiry is None:
        return math.inf
    if now >= expiry:
        raise Refused(Code.SIGNATURE_EXPIRED, "the signature has expired", found=time.written(expiry))
    return expiry


def _timed(opened: Opened, path: Path, now: float, trust: Trust) -> tuple[tuple[Moment, ...], tuple[Path, ...]]:
    """The proven times, empty where there are none and now counts; the whole chain must be valid at each."""
    moments: tuple[Moment, ...] = ()
    stamping: tuple[Path, ...] = ()
    if opened.headers.authentic_time is not None:
        moments = (Moment(opened.headers.authentic_time, "the signing authority"),)
    elif opened.timestamp and trust.stores.tsa:
        moments, path_of_tsa = _stamped(opened, trust)
        stamping = (path_of_tsa,)
    time.check_future(moments, now, trust.limits.clock_skew)
    spans = tuple(Span(one.window, f"certificate {one.subject}") for one in path)
    try:
        time.check(moments or (time.unproven(now, _UNASKED if opened.timestamp else ""),), spans)
    except Refused as error:
        if not moments:  # a validity that has not begun yet will
            error.until = begins(path, now)
        raise
    return moments, stamping


def _stamped(opened: Opened, trust: Trust) -> tuple[tuple[Moment, ...], Path]:
    """Both ends of the time that the countersignature proves ("Validate Trusted Timestamp")."""
    stamp = timestamp.read(opened.timestamp, trust.limits)
    stamped = tsa.prove(stamp, Message(opened.signature), trust.root, trust.limits)
    codesigning.check_stamping(stamped.path)
    source = stamped.moment.source
    ends = (Moment(stamp.time - stamp.accuracy, source), Moment(stamp.time + stamp.accuracy, source))
    return ends if stamp.accuracy else ends[:1], stamped.path
