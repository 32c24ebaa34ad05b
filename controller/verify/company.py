"""cosign signatures under a company's own PKI: certificate and chain beside the signature, anchors in the policy.

cosign, `cosign verify --certificate-chain/--ca-roots`: the certificate must be for signing code and lead to an anchor; a
root that comes with the signature is nobody's (RFC 5280 section 6.1.1 (d): trust anchors come from the verifier).
"""

import math

from controller import certificates
from controller.certificates import CODE_SIGNING, Certificate
from controller.errors import Code, Reason, Refused
from controller.evidence import Envelope, Evidence, MessageSignature, SimpleSigning
from controller.reference import Digest
from controller.roots import Authority
from controller.validity import ALWAYS
from controller.verify import chain, claims, proofs, time
from controller.verify.codesigning import Path
from controller.verify.log import Signed
from controller.verify.pki import Level, Proved, Trust, begins, ends, enforced, names
from controller.verify.proofs import Proofs
from controller.verify.time import Span


def judge(evidence: Evidence, subject: Digest, now: float, trust: Trust, *, log_required: bool) -> Proved:
    """Judge one piece about `subject` at `now`, all but revocation. Every level enforces authenticity here.

    Raises:
        Refused: Not proved, and why.
    """
    end, supplied = _brought(evidence, trust)
    signed = _signed(evidence, subject, end)
    path = _path(end, supplied, trust)
    chain.check(path, CODE_SIGNING, "a signing certificate")
    trust.check_revoked(path)
    trust.check_end(end)
    warnings: list[Reason] = []
    found = Proofs((), (), logged=False, skipped=None)
    with enforced(warnings, strictly=trust.level is Level.STRICT or log_required):
        found = proofs.check(evidence.material, signed, trust.root, log_required=log_required, limits=trust.limits)
        time.check_future(found.moments, now, trust.limits.clock_skew)
    with enforced(warnings, strictly=trust.level is Level.STRICT):
        _check_times(found, path, now)
    said = claims.read(evidence.content, subject, trust.limits)
    until = math.inf if found.moments else ends(path, now)
    signed_at = time.earliest(found.moments)
    return Proved(path, path[-1], said, signed_at, until, (), warnings)


def _brought(evidence: Evidence, trust: Trust) -> tuple[Certificate, tuple[Certificate, ...]]:
    material, limits = evidence.material, trust.limits
    if not material.certificate:
        raise Refused(Code.NO_CERTIFICATE, "signed with a bare key", expected="a certificate beside the signature")
    if len(material.chain) >= limits.certificates_per_chain:  # before any of them is read
        expected = f"at most {limits.certificates_per_chain}"
        raise Refused(Code.LIMIT_EXCEEDED, "too many certificates", expected=expected, found=str(len(material.chain) + 1))
    read = [
        certificates.parse(raw, what, limit=limits.certificate_bytes)
        for raw, what in (
            (material.certificate, "signing certificate"),
            *((raw, f"certificate {number} of the chain") for number, raw in enumerate(material.chain, 1)),
        )
    ]
    return read[0], tuple(read[1:])


def _signed(evidence: Evidence, subject: Digest, end: Certificate) -> Signed:
    """The signature by the certificate's key; an envelope may carry others beside it."""
    message = claims.signed_message(evidence.content, subject)
    match evidence.content:
        case Envelope(signatures=entries):
            found = [entry.signature for entry in entries if end.key.verifies(entry.signature, message)]
        case SimpleSigning(signature=signature) | MessageSignature(signature=signature):
            found = [signature] if end.key.verifies(signature, message) else []
        case _:
            found = []
    if not found:
        raise Refused(
            Code.SIGNATURE_INVALID,
            "the signature is not that of its certificate, or is over other content",
            found=f"certificate of {end.subject[:120]}",
        )
    return Signed(evidence.content, message, found[0], end.key, end)


def _path(end: Certificate, supplied: tuple[Certificate, ...], trust: Trust) -> Path:
    """A path to an anchor of store `ca`; what was supplied may lead there and is never the end."""
    if end in trust.stores.ca:
        return (end,)
    limit = trust.limits.certificates_per_chain
    for anchor in trust.stores.ca:
        path = chain.build(end, Authority("", (anchor,), ALWAYS), supplied, limit=limit)
        if path is not None:
            return path
    expected, found = names(trust.stores.ca), f"issuer {end.issuer}"[:200]
    if any(one.self_issued for one in (end, *supplied)):
        message = "the signature brings its own root certificate, which nobody trusts"
        raise Refused(Code.ROOT_IN_CHAIN, message, expected=expected, found=found)
    raise Refused(Code.CERTIFICATE_UNTRUSTED, "the certificate leads to nobody in store ca", expected=expected, found=found)


def _check_times(found: Proofs, path: Path, now: float) -> None:
    spans = tuple(Span(one.window, f"certificate {one.subject}") for one in path)
    try:
        time.check(found.at(now), spans)
    except Refused as error:
        if not found.moments:
            error.until = begins(path, now)
        raise
