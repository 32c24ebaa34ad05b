"""The authority that trusts identities: whoever an instance of Sigstore certified, at the time of signing, to be them."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from controller import certificates
from controller.certificates import CODE_SIGNING, Certificate
from controller.errors import Code, Invalid, Reason, Refused, Undecided
from controller.evidence import (
    Content,
    Envelope,
    Evidence,
    Format,
    MessageSignature,
    Signer,
    SimpleSigning,
    Verified,
)
from controller.reference import Digest
from controller.roots import Authority, TrustedRoot
from controller.settings import Limits
from controller.verify import chain, claims, identity, proofs, sct, time
from controller.verify.chain import Path
from controller.verify.identity import Identity, Subject
from controller.verify.log import Signed
from controller.verify.proofs import Proofs
from controller.verify.time import Span

_ENGINE: Final = "keyless 1"
"""Part of every fingerprint: raise it when the same bytes may be judged differently, so that no old verdict is reused."""

_FORMATS: Final = frozenset({Format.COSIGN_SIGNATURE, Format.COSIGN_ATTESTATION, Format.BUNDLE})
_SHOWN: Final = 2
_Brought = tuple[Certificate, tuple[Certificate, ...]]
"""The signing certificate and whatever came beside it."""


class KeylessAuthority:
    """Judges signatures by certificates that a trusted root's authority issued for one of the trusted identities.

    In order: the certificate, the signature, what logs and timestamp authorities prove about it, the path to an authority
    at every proven time, the certificate's own log, the identity, and only then what was said.
    """

    __slots__ = ("_identities", "_limits", "_log_required", "_revoked", "_root", "description", "fingerprint", "name")

    def __init__(
        self,
        name: str,
        root: TrustedRoot | None,
        identities: Sequence[Identity],
        *,
        log_required: bool = True,
        revoked: frozenset[str] = frozenset(),
        limits: Limits | None = None,
    ) -> None:
        """Trust any one of `identities` under `root`; None is a root that could not be loaded, which judges nothing.

        Args:
            name: The authority's name in its policy.
            root: Whom to believe about certificates, logs and time.
            identities: At least one.
            log_required: Whether a trusted log must hold the signature, and something prove its time.
            revoked: SHA-256 (hex) of certificates (DER) or keys (SubjectPublicKeyInfo) no longer believed.
            limits: Bounds for what is read.

        Raises:
            Invalid: `InvalidPolicy` for no identities.
        """
        if not identities:
            raise Invalid(Code.INVALID_POLICY, f"authority {name} has no identities", expected="at least one")
        self.name = name
        self._root = root
        self._identities = tuple(identities)
        self._log_required = log_required
        self._revoked = revoked
        self._limits = limits or Limits()
        self.description = _describe(self._identities)
        self.fingerprint = self._fingerprint()

    def judge(self, evidence: Evidence, subject: Digest, now: float) -> tuple[Verified, ...]:
        """Judge one piece: exactly one fact, for the identity that signed it.

        Raises:
            Refused: When anything is not as it must be; also for an error nobody foresaw, panics of native code included
                (CVE-2026-44310): what could not be verified is not verified.
            Undecided: `TrustedRootUnavailable`.
        """
        try:
            return self._judge(evidence, subject, now)
        except (Refused, Undecided, KeyboardInterrupt, SystemExit, GeneratorExit):
            raise
        except BaseException as error:  # not only Exception: a native library's panic is none
            raise Refused(Code.INTERNAL, "verification broke off", found=type(error).__name__) from error

    def _judge(self, evidence: Evidence, subject: Digest, now: float) -> tuple[Verified, ...]:
        root = self._root
        if root is None:
            raise Undecided(Code.ROOT_UNAVAILABLE, "the trusted root could not be loaded", source=f"authority {self.name}")
        if evidence.format not in _FORMATS:
            raise Refused(Code.WRONG_FORMAT, "not a format that is verified by an identity", found=evidence.format)
        signing, supplied = self._certificates(evidence)
        signed = _signature(evidence.content, subject, signing)
        found = proofs.check(evidence.material, signed, root, log_required=self._log_required, limits=self._limits)
        time.check_future(found.moments, now, self._limits.clock_skew)
        spans, path = self._trusted(root, (signing, supplied), found, now)
        who = identity.read(signing)
        trusted = identity.check(self._identities, who, signing.claims)
        said = claims.read(evidence.content, subject, self._limits)
        fact = self._fact(evidence, subject, (who, path), said, _valid_until(found, spans))
        fact = replace(fact, made=time.earliest(found.moments))
        return (replace(fact, warnings=(_anybody(who),)) if trusted.is_anybody else fact,)

    def _certificates(self, evidence: Evidence) -> _Brought:
        material, limits = evidence.material, self._limits
        if not material.certificate:
            raise Refused(
                Code.NO_CERTIFICATE,
                "signed with a bare key",
                expected=self.description,
                found=f"key hint {material.key_hint[:80]}" if material.key_hint else "no certificate",
            )
        if len(material.chain) >= limits.certificates_per_chain:
            raise Refused(
                Code.LIMIT_EXCEEDED,
                "too many certificates",
                expected=f"at most {limits.certificates_per_chain}",
                found=str(len(material.chain) + 1),
            )
        signing = certificates.parse(material.certificate, "signing certificate", limit=limits.certificate_bytes)
        supplied = tuple(
            certificates.parse(raw, "certificate of the chain", limit=limits.certificate_bytes) for raw in material.chain
        )
        if evidence.format is Format.BUNDLE and any(one.self_issued for one in (signing, *supplied)):
            # sigstore_bundle.proto, x509_certificate_chain: "MUST NOT include the root". Beside cosign signatures it is
            # customary, and never trusted there: nothing that came with the evidence is an anchor.
            raise Refused(Code.ROOT_IN_CHAIN, "the bundle brings its own root certificate", expected="the trusted root's")
        return signing, supplied

    def _trusted(self, root: TrustedRoot, brought: _Brought, found: Proofs, now: float) -> tuple[tuple[Span, ...], Path]:
        """Every window that some authority's path, the certificate's log and the proofs ask for, all of them met; the path.

        The same issuing certificate may stand under several authorities of the root; any one that holds suffices.
        """
        signing, supplied = brought
        refusal: Refused | None = None
        for authority in root.authorities:
            path = chain.build(signing, authority, supplied, limit=self._limits.certificates_per_chain)
            if path is None:
                continue
            try:
                return self._spans(root, (path, authority), found, now), path
            except Refused as error:
                refusal = refusal or error
        raise refusal or Refused(
            Code.CERTIFICATE_UNTRUSTED,
            "the certificate leads to no authority of the trusted root",
            expected=", ".join(one.anchor.subject for one in root.authorities[:_SHOWN]) or "no authority at all",
            found=f"issuer {signing.issuer}"[:200],
        )

    def _spans(self, root: TrustedRoot, route: tuple[Path, Authority], found: Proofs, now: float) -> tuple[Span, ...]:
        path, authority = route
        revoked = [one for one in path if {one.sha256, one.key.spki_sha256} & self._revoked]
        if revoked:
            raise Refused(Code.REVOKED, "a certificate of the path is revoked", found=revoked[0].sha256)
        chain.check(path, CODE_SIGNING, "a signing certificate")
        spans = (
            *(Span(one.window, f"certificate {one.subject}") for one in path),
            Span(authority.window, f"certificate authority {authority.uri}"),
        )
        try:
            time.check(found.at(now), spans)
        except Refused as error:
            if found.moments:
                raise
            raise found.skipped or proofs.not_proven() from error
        windows = sct.check(path[0], path[1], root, self._limits)
        time.check(found.moments, windows)
        return (*spans, *windows)

    def _fact(
        self, evidence: Evidence, subject: Digest, signed_by: tuple[Subject, Path], said: claims.Said, until: float
    ) -> Verified:
        who, path = signed_by
        return Verified(
            digest=subject,
            authority=self.name,
            signer=Signer(identity.signer_id(who), f"{who.name.value} (issuer {who.issuer})", path[0].key.spki_sha256),
            claim=said.claim,
            evidence=evidence.id,
            origin=evidence.origin,
            format=evidence.format,
            predicate_type=said.predicate_type,
            predicate=said.predicate,
            annotations=said.annotations,
            valid_until=until,
            rests_on=chain.marks(path),
        )

    def _fingerprint(self) -> str:
        """Equal for authorities that believe the same; names do not enter."""
        believed = (
            _ENGINE,
            f"root={self._root.fingerprint if self._root else ''}",
            f"log={self._log_required}",
            *sorted(one.canonical for one in self._identities),
            *sorted(self._revoked),
        )
        return hashlib.sha256("\n".join(believed).encode()).hexdigest()


def _signature(content: Content, subject: Digest, certificate: Certificate) -> Signed:
    """The one signature of `content`, which must be by the certificate's key.

    Raises:
        Refused: `SignatureInvalid`; `WrongDigest` where a message signature holds over another image.
    """
    signature = _only_signature(content)
    message = claims.signed_message(content, subject)
    other = claims.message_of_another_image(content, message)
    if other is not None and certificate.key.verifies(signature, other.message):
        raise Refused(
            Code.WRONG_DIGEST, "the message signature is about another image", expected=other.expected, found=other.found
        )
    certificate.key.verify(signature, message)
    return Signed(content, message, signature, certificate.key, certificate)


def _only_signature(content: Content) -> bytes:
    """One certificate, one signature: an envelope with several leaves open whose the material beside it is."""
    match content:
        case Envelope(signatures=(one,)):
            return one.signature
        case Envelope(signatures=several):
            raise Refused(Code.MALFORMED, "the envelope carries several signatures", expected="one", found=str(len(several)))
        case SimpleSigning() | MessageSignature():
            return content.signature
        case _:
            raise Refused(Code.WRONG_FORMAT, "not a signature that is verified by an identity")


def _anybody(who: Subject) -> Reason:
    message = "the policy's insecureAnySubject believes everybody who has a token of the issuer"
    return Reason(Code.ANY_SUBJECT, message, found=who.name.value[:200])


def _valid_until(found: Proofs, spans: Sequence[Span]) -> float:
    """A proven time does not pass; without one the verdict holds while everything is valid."""
    return float("inf") if found.moments else time.earliest_end(spans)


def _describe(identities: Sequence[Identity]) -> str:
    more = f" or {len(identities) - _SHOWN} more" if len(identities) > _SHOWN else ""
    return "identity " + ", ".join(map(str, identities[:_SHOWN])) + more
