"""A private Sigstore: certificate authority, logs and timestamp authority in one trusted root, and what is signed with it.

Keys are made once for each process; logs are fresh in each instance.
"""

import json
from collections.abc import Sequence
from typing import Any, Final

from controller import keys, roots
from controller.demo import payloads
from controller.demo.mediatypes import COSIGN_SIGN, COSIGN_SIGNATURE, DSSE, SIGSTORE_BUNDLE, SIMPLE_SIGNING
from controller.demo.signingkeys import KeyType, SigningKey
from controller.evidence import Evidence
from controller.formats import with_artifact
from controller.reference import Digest
from controller.roots import TrustedRoot
from controller.verify.identity import Identity as Trusted
from controller.verify.identity import Pattern
from controller.verify.keyless import KeylessAuthority
from tests.fakes import rekor
from tests.fakes.authorities import ISSUER, SUBJECT, T0, CertificateAuthority, CertificateLog, Holder, Identity, b64, moment
from tests.fakes.evidence import IMAGE, LIMITS, MANIFEST, attachment, one, statement
from tests.fakes.keys import signing_key
from tests.fakes.rekor import RekorV1, RekorV2
from tests.fakes.timestamps import Odd, TimestampAuthority

START: Final = T0 - 30 * 86400
NOW: Final = T0 + 86400.0
"""When things are judged: a day after they were signed, when every signing certificate has expired."""

CERTIFICATE: Final = "dev.sigstore.cosign/certificate"
CHAIN: Final = "dev.sigstore.cosign/chain"
ENTRY: Final = "dev.sigstore.cosign/bundle"
STAMP: Final = "dev.sigstore.cosign/rfc3161timestamp"
NAMED: Final = {"organization": "example.com", "commonName": "private Sigstore"}
DETAILS: Final = {
    KeyType.P256: "PKIX_ECDSA_P256_SHA_256",
    KeyType.P384: "PKIX_ECDSA_P384_SHA_384",
    KeyType.RSA2048: "PKIX_RSA_PKCS1V15_2048_SHA256",
    KeyType.ED25519: "PKIX_ED25519",
}


def written(time: float) -> str:
    return moment(time).strftime("%Y-%m-%dT%H:%M:%SZ")


def certificates(*raw: bytes) -> dict[str, Any]:
    return {"certificates": [{"rawBytes": b64(one)} for one in raw]}


def log_document(url: str, key: SigningKey, details: str, key_id: bytes) -> dict[str, Any]:
    return {
        "baseUrl": url,
        "hashAlgorithm": "SHA2_256",
        "publicKey": {"rawBytes": b64(key.public_der), "keyDetails": details, "validFor": {"start": written(START)}},
        "logId": {"keyId": b64(key_id)},
    }


class PrivateSigstore:
    """One instance. Its logs remember what they took in."""

    def __init__(self, name: str = "sigstore") -> None:
        self.ct = CertificateLog(f"{name} ct")
        self.ca = CertificateAuthority(f"{name} ca", log=self.ct)
        self.rekor1 = RekorV1(f"rekor.{name}.example.com")
        self.rekor2 = RekorV2(f"log2025-1.rekor.{name}.example.com")
        self.tsa = TimestampAuthority(f"{name} tsa")

    def document(self) -> dict[str, Any]:
        """The trusted root, to be changed by tests."""
        window = {"start": written(START)}
        ca, tsa = (self.ca.intermediate.der, self.ca.root.der), (self.tsa.signer.der, self.tsa.root.der)
        first, second = self.rekor1, self.rekor2
        return {
            "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
            "tlogs": [
                log_document(f"https://{first.name}", first.key, "PKIX_ECDSA_P256_SHA_256", first.id),
                log_document(f"https://{second.name}", second.key, "PKIX_ED25519", second.id),
            ],
            "certificateAuthorities": [
                {"uri": "https://fulcio.example.com", "certChain": certificates(*ca), "validFor": window, "subject": NAMED}
            ],
            "ctlogs": [log_document("https://ctfe.example.com", self.ct.key, "PKIX_ECDSA_P256_SHA_256", self.ct.id)],
            "timestampAuthorities": [
                {"uri": "https://tsa.example.com", "certChain": certificates(*tsa), "validFor": window, "subject": NAMED}
            ],
        }

    def root(self, document: dict[str, Any] | None = None) -> TrustedRoot:
        return roots.parse(json.dumps(document or self.document()).encode(), "private", LIMITS)

    def holder(self, identity: Identity | None = None, kind: KeyType = KeyType.P256, **changes: Any) -> Holder:
        """A key with a certificate for `identity`."""
        return self.ca.certify(signing_key("ephemeral", kind), identity, **changes)

    def entry(self, kind: str, content: bytes, envelope: dict[str, Any] | None, holder: Holder, signature: bytes) -> Any:
        """A log entry of `kind` about a signature; `content` is the signed bytes."""
        details = DETAILS[kind_of(holder.key)]
        match kind:
            case "hashedrekord":
                return self.rekor1.entry(rekor.hashedrekord(content, signature, holder.pem))
            case "dsse":
                return self.rekor1.entry(rekor.dsse(payloads.encode(envelope), envelope or {}, holder.pem))
            case "intoto":
                return self.rekor1.entry(rekor.intoto(envelope or {}, holder.pem))
            case "hashedrekord 2":
                return self.rekor2.entry(rekor.hashedrekord_2(content, signature, holder.der, details))
            case _:
                return self.rekor2.entry(rekor.dsse_2(envelope or {}, holder.der, details))

    def material(
        self, holder: Holder, entries: Sequence[Any] = (), stamps: Sequence[bytes] = (), chain: Sequence[bytes] | None = None
    ) -> dict[str, Any]:
        """A bundle's verification material."""
        one_certificate = {"certificate": {"rawBytes": b64(holder.der)}}
        found: dict[str, Any] = (
            one_certificate if chain is None else {"x509CertificateChain": certificates(holder.der, *chain)}
        )
        if entries:
            found["tlogEntries"] = list(entries)
        if stamps:
            found["timestampVerificationData"] = {"rfc3161Timestamps": [{"signedTimestamp": b64(stamp)} for stamp in stamps]}
        return found

    def sign_statement(
        self,
        logs: Sequence[str] = ("dsse",),
        *,
        stamps: int = 0,
        holder: Holder | None = None,
        content: bytes | None = None,
        odd: Odd | None = None,
    ) -> dict[str, Any]:
        """A bundle of a statement; by default the image signature that cosign 3 writes."""
        who = holder or self.holder()
        envelope = payloads.envelope(statement(COSIGN_SIGN) if content is None else content, who.key)
        raw = payloads.pre_authentication_encoding(envelope["payloadType"], content or statement(COSIGN_SIGN))
        signature = raw_signature(envelope)
        entries = [self.entry(kind, raw, envelope, who, signature) for kind in logs]
        stamped = [self.tsa.stamp(signature, odd=odd)] * stamps
        return {
            "mediaType": SIGSTORE_BUNDLE,
            "verificationMaterial": self.material(who, entries, stamped),
            **payloads.bundle_envelope(envelope),
        }

    def sign_message(
        self,
        logs: Sequence[str] = ("hashedrekord",),
        *,
        stamps: int = 0,
        holder: Holder | None = None,
        content: bytes = MANIFEST,
    ) -> dict[str, Any]:
        """A bundle of a signature straight over the manifest."""
        who = holder or self.holder()
        signed = payloads.message_signature(content, who.key)
        signature = from_base64(signed["messageSignature"]["signature"])
        entries = [self.entry(kind, content, None, who, signature) for kind in logs]
        stamped = [self.tsa.stamp(signature)] * stamps
        return {"mediaType": SIGSTORE_BUNDLE, "verificationMaterial": self.material(who, entries, stamped), **signed}

    def sign_layer(self, holder: Holder | None = None, digest: Digest = IMAGE) -> tuple[bytes, dict[str, str]]:
        """A `.sig` layer as cosign 2 writes it without a key: the claim, and the layer's annotations."""
        who = holder or self.holder()
        claim = payloads.claim(digest, "registry.example.com/shop/web")
        signature = who.key.sign(claim)
        return claim, {
            COSIGN_SIGNATURE: b64(signature),
            CERTIFICATE: who.pem.decode(),
            CHAIN: (self.ca.intermediate.pem + self.ca.root.pem).decode(),
            ENTRY: self.rekor1.annotation(rekor.hashedrekord(claim, signature, who.pem)),
            STAMP: json.dumps({"SignedRFC3161Timestamp": b64(self.tsa.stamp(signature))}),
        }

    def attest_layer(self, content: bytes, holder: Holder | None = None) -> tuple[bytes, dict[str, str]]:
        """An `.att` layer: the envelope's bytes, and annotations whose entry and timestamp are about those bytes."""
        who = holder or self.holder()
        envelope = payloads.envelope(content, who.key)
        stored = payloads.encode(envelope)
        return stored, {
            CERTIFICATE: who.pem.decode(),
            CHAIN: (self.ca.intermediate.pem + self.ca.root.pem).decode(),
            ENTRY: self.rekor1.annotation(rekor.dsse(stored, envelope, who.pem)),
            STAMP: json.dumps({"SignedRFC3161Timestamp": b64(self.tsa.stamp(stored))}),
        }

    def authority(
        self, *identities: Trusted, log_required: bool = True, document: dict[str, Any] | None = None
    ) -> KeylessAuthority:
        """A judge that trusts this instance to name `identities`, by default the one its certificates are for."""
        return KeylessAuthority("ci", self.root(document), identities or (trusted(),), log_required=log_required)


def trusted(subject: str = SUBJECT, issuer: str = ISSUER, **more: Any) -> Trusted:
    return Trusted(Pattern("exact", issuer), Pattern("exact", subject), **more)


def evidence(document: dict[str, Any], content: bytes | None = None) -> Evidence:
    """A bundle as it comes out of the registry; `content` are the manifest's bytes where the pipeline fetched them."""
    found = one(attachment(SIGSTORE_BUNDLE, payloads.encode(document), artifact_type=SIGSTORE_BUNDLE))
    return found if content is None else with_artifact(found, content)


def signature_layer(payload: bytes, annotations: dict[str, str]) -> Evidence:
    return one(attachment(SIMPLE_SIGNING, payload, annotations))


def attestation_layer(payload: bytes, annotations: dict[str, str]) -> Evidence:
    return one(attachment(DSSE, payload, annotations))


def raw_signature(envelope: dict[str, Any]) -> bytes:
    return from_base64(envelope["signatures"][0]["sig"])


def from_base64(text: str) -> bytes:
    return rekor.raw(text)


def kind_of(key: SigningKey) -> KeyType:
    """The type of a key, by its algorithm's name."""
    name = keys.parse(key.public_der).algorithm
    kinds = {
        "ECDSA P-256": KeyType.P256,
        "ECDSA P-384": KeyType.P384,
        "RSA 2048": KeyType.RSA2048,
        "Ed25519": KeyType.ED25519,
    }
    return kinds[name]
