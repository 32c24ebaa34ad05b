"""Each field of the spec that is judged has a case in which that field alone changes the verdict (design, rule 3).

A field that is judged and has no case here fails `test_every_judged_field_has_a_case`.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from controller.admission.subject import Workload
from controller.decision.findings import Findings, Platform
from controller.decision.report import Report, Verdict
from controller.demo import payloads
from controller.errors import Code, Reason
from controller.evidence import Evidence
from controller.formats.notation import JWS, SIGNING_AUTHORITY
from controller.policy.predicate_types import SPDX
from controller.policy.store import Document
from controller.registry.discovery import Gap
from tests.fakes import notation, openpgp, rekor, sigstore
from tests.fakes import pki as certificates
from tests.fakes.authorities import ISSUER, SUBJECT, Holder, Identity
from tests.fakes.evidence import IMAGE, OTHER, attestation, bill, image_bundle, signature, statement
from tests.fakes.keys import signing_key
from tests.fakes.pki import DAY, NOW
from tests.fakes.policies import (
    IMAGE_NAME,
    at,
    authority,
    config_map,
    key,
    namespace,
    policy,
    reason_codes,
    secret,
    spec,
    trust_root,
    verdict,
    without,
)
from tests.fakes.sigstore import PrivateSigstore
from tests.fakes.timestamps import Odd, TimestampAuthority
from tests.unit.policies_written import JUDGED

SLSA = "https://slsa.dev/provenance/v1"
AWAY = Gap("registry.example.com", Reason(Code.UNREACHABLE, "no answer"), settled=False)
SIGNED = (signature(signing_key()),)
BILL = {"name": "bill", "sbom": {"of": ["ci"]}}
BUILT = {"name": "built", "attestation": {"predicateType": "slsaprovenance1", "of": ["ci"]}}
CI = (authority("release"), authority("ci"))


def attested(kind: str, by: str = "ci", about: Any = IMAGE) -> Evidence:
    return attestation(statement(kind, None, about), signing_key(by))


def selecting(selector: dict[str, Any]) -> dict[str, Any]:
    return {"match": {"images": ["registry.example.com/shop/**"], **selector}}


def pem(holder: certificates.Issued | Holder) -> dict[str, str]:
    return {"pem": holder.pem.decode()}


def pki(**fields: Any) -> dict[str, Any]:
    """A policy with one authority of certificates: Acme's."""
    usual = {"stores": {"ca": ANCHOR}, "identities": ["C=DE, ST=Berlin, O=Acme"]}
    return spec({"name": "pki", "x509": {**usual, **fields}})


def notary(signer: certificates.Issued | None = None, **wanted: Any) -> Evidence:
    return notation.evidence(JWS, signer or certificates.signer(), notation.Wanted(**wanted))


ANCHOR = pem(certificates.root())
CLOCK = TimestampAuthority("clock")
BY_AUTHORITY = notary(scheme=SIGNING_AUTHORITY)
STAMPED = notary(
    certificates.signer(start=NOW - 50 * DAY, end=NOW - 40 * DAY),
    time=NOW - 45 * DAY,
    stamp=lambda signature: CLOCK.token(signature, NOW - 45 * DAY, Odd(embedded=(CLOCK.signer.der,))),
)


PRIVATE = PrivateSigstore("private")
SPARE = PrivateSigstore("spare")
ROOTS = (trust_root("private", PRIVATE.document()), trust_root("spare", SPARE.document()))
FROM = {"sourceRepositoryURI": "https://github.com/acme/shop"}
BY_CI = (sigstore.evidence(PRIVATE.sign_statement(holder=PRIVATE.holder(Identity(claims=FROM)))),)
UNLOGGED = (sigstore.evidence(PRIVATE.sign_statement((), stamps=1)),)


def keyless(root: str = "private", *identities: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """A policy with one keyless authority, which believes the identity that the private Sigstore certifies."""
    return spec({"name": "ci", "keyless": {"trustRoot": root, "identities": list(identities or (identity(),))}, **fields})


def identity(**fields: Any) -> dict[str, Any]:
    return {"issuer": {"exact": ISSUER}, "subject": {"exact": SUBJECT}, **fields}


def subject(kind: str, text: str, **fields: Any) -> dict[str, Any]:
    return keyless("private", identity(subject={kind: text}, **fields))


def issuer(kind: str, text: str) -> dict[str, Any]:
    return keyless("private", identity(issuer={kind: text}))


def logged_elsewhere() -> Evidence:
    """An image signature by key beside an entry, in the private log, of another signature."""
    key = signing_key()
    other = payloads.envelope(statement(SLSA), key)
    entry = PRIVATE.rekor1.entry(rekor.dsse(payloads.encode(other), other, key.public_pem.encode()))
    return image_bundle(key, tlogEntries=[entry])


@dataclass(frozen=True)
class Case:
    """Two policies that differ in one field, on the same evidence, and what each says."""

    before: dict[str, Any]
    after: dict[str, Any]
    expected: tuple[str, str]
    code: str  # why the stricter of the two says no
    evidence: tuple[Evidence, ...] = SIGNED
    context: dict[str, Any] = field(default_factory=dict)


def require(*items: Any) -> dict[str, Any]:
    return {"require": list(items)}


def signed(**rule: Any) -> dict[str, Any]:
    return require({"name": "signed", "signature": rule})


def sbom(**fields: Any) -> dict[str, Any]:
    return spec(*CI, **require({**BILL, **fields}))


def authority_of(*keys: dict[str, Any]) -> dict[str, Any]:
    return {"name": "release", "keys": list(keys)}


OUTSIDE = "OutsideValidity"
TWO = (authority("release", role="engineering"), authority("ci", role="quality"))
BOTH = (signature(signing_key()), signature(signing_key("ci")))
ANY_OF = {"of": ["release", "ci"]}
LABELLED = {"workload": Workload("shop", {"app": "web"}, "Pod")}

CASES: dict[str, Case] = {
    "mode": Case(spec(), spec(mode="Audit"), ("Deny", "Audit"), "WrongKey", (signature(signing_key("foreign")),)),
    "onUnavailable": Case(spec(), spec(onUnavailable="Warn"), ("Deny", "Warn"), "Unreachable", (), {"gaps": [AWAY]}),
    "platforms": Case(
        spec(),
        spec(platforms="Each"),
        ("Allow", "Deny"),
        "NoEvidence",
        SIGNED,
        {"children": [OTHER], "platforms": [Platform("linux/arm64", Findings(OTHER))]},
    ),
    "match.images": Case(
        spec(**selecting({"images": ["*/**"]})),
        spec(**selecting({"images": ["other.example.com/**"]})),
        ("Deny", "Allow"),
        "NoEvidence",
        (),
    ),
    "match.excludeImages": Case(
        spec(),
        spec(**selecting({"excludeImages": ["registry.example.com/shop/we*"]})),
        ("Deny", "Allow"),
        "NoEvidence",
        (),
    ),
    "match.namespaceSelector": Case(
        spec(),
        spec(**selecting({"namespaceSelector": {"matchLabels": {"tier": "dev"}}})),
        ("Deny", "Allow"),
        "NoEvidence",
        (),
    ),
    "match.namespaceSelector.matchLabels": Case(
        spec(**selecting({"namespaceSelector": {"matchLabels": {"tier": "prod"}}})),
        spec(**selecting({"namespaceSelector": {"matchLabels": {"tier": "dev"}}})),
        ("Deny", "Allow"),
        "NoEvidence",
        (),
    ),
    "match.namespaceSelector.matchExpressions": Case(
        spec(**selecting({"namespaceSelector": {"matchExpressions": []}})),
        spec(**selecting({"namespaceSelector": {"matchExpressions": [{"key": "tier", "operator": "DoesNotExist"}]}})),
        ("Deny", "Allow"),
        "NoEvidence",
        (),
    ),
    "match.namespaceSelector.matchExpressions.key": Case(
        spec(**selecting({"namespaceSelector": {"matchExpressions": [{"key": "tier", "operator": "Exists"}]}})),
        spec(**selecting({"namespaceSelector": {"matchExpressions": [{"key": "level", "operator": "Exists"}]}})),
        ("Deny", "Allow"),
        "NoEvidence",
        (),
    ),
    "match.namespaceSelector.matchExpressions.operator": Case(
        spec(
            **selecting({"namespaceSelector": {"matchExpressions": [{"key": "tier", "operator": "In", "values": ["prod"]}]}})
        ),
        spec(
            **selecting(
                {"namespaceSelector": {"matchExpressions": [{"key": "tier", "operator": "NotIn", "values": ["prod"]}]}}
            )
        ),
        ("Deny", "Allow"),
        "NoEvidence",
        (),
    ),
    "match.namespaceSelector.matchExpressions.values": Case(
        spec(
            **selecting({"namespaceSelector": {"matchExpressions": [{"key": "tier", "operator": "In", "values": ["prod"]}]}})
        ),
        spec(
            **selecting({"namespaceSelector": {"matchExpressions": [{"key": "tier", "operator": "In", "values": ["dev"]}]}})
        ),
        ("Deny", "Allow"),
        "NoEvidence",
        (),
    ),
    "match.objectSelector": Case(
        spec(),
        spec(**selecting({"objectSelector": {"matchLabels": {"app": "db"}}})),
        ("Deny", "Allow"),
        "NoEvidence",
        (),
        LABELLED,
    ),
    "match.objectSelector.matchLabels": Case(
        spec(**selecting({"objectSelector": {"matchLabels": {"app": "web"}}})),
        spec(**selecting({"objectSelector": {"matchLabels": {"app": "db"}}})),
        ("Deny", "Allow"),
        "NoEvidence",
        (),
        LABELLED,
    ),
    "match.objectSelector.matchExpressions": Case(
        spec(**selecting({"objectSelector": {}})),
        spec(**selecting({"objectSelector": {"matchExpressions": [{"key": "app", "operator": "DoesNotExist"}]}})),
        ("Deny", "Allow"),
        "NoEvidence",
        (),
        LABELLED,
    ),
    "match.objectSelector.matchExpressions.key": Case(
        spec(**selecting({"objectSelector": {"matchExpressions": [{"key": "app", "operator": "Exists"}]}})),
        spec(**selecting({"objectSelector": {"matchExpressions": [{"key": "part", "operator": "Exists"}]}})),
        ("Deny", "Allow"),
        "NoEvidence",
        (),
        LABELLED,
    ),
    "match.objectSelector.matchExpressions.operator": Case(
        spec(**selecting({"objectSelector": {"matchExpressions": [{"key": "app", "operator": "Exists"}]}})),
        spec(**selecting({"objectSelector": {"matchExpressions": [{"key": "app", "operator": "DoesNotExist"}]}})),
        ("Deny", "Allow"),
        "NoEvidence",
        (),
        LABELLED,
    ),
    "match.objectSelector.matchExpressions.values": Case(
        spec(**selecting({"objectSelector": {"matchExpressions": [{"key": "app", "operator": "In", "values": ["web"]}]}})),
        spec(**selecting({"objectSelector": {"matchExpressions": [{"key": "app", "operator": "In", "values": ["db"]}]}})),
        ("Deny", "Allow"),
        "NoEvidence",
        (),
        LABELLED,
    ),
    "authorities.name": Case(
        spec(authority("release"), authority("ci"), **signed(of=["ci"])),
        # the two swap their names and nothing else, so `of` means the other key
        spec(authority("ci", "release"), authority("release", "ci"), **signed(of=["ci"])),
        ("Deny", "Allow"),
        "WrongKey",
    ),
    "authorities.role": Case(
        spec(
            authority("release", role="quality"),
            authority("ci", role="engineering"),
            **signed(threshold=1, perRole={"engineering": 1}, **ANY_OF),
        ),
        spec(
            authority("release", role="engineering"),
            authority("ci", role="engineering"),
            **signed(threshold=1, perRole={"engineering": 1}, **ANY_OF),
        ),
        ("Deny", "Allow"),
        "RoleNotMet",
    ),
    "authorities.keys": Case(spec(), spec({"name": "release", "keys": [key("next")]}), ("Allow", "Deny"), "WrongKey"),
    "authorities.keys.pem": Case(
        spec({"name": "release", "keys": [key("old", name="k")]}),
        spec({"name": "release", "keys": [key(name="k")]}),
        ("Deny", "Allow"),
        "WrongKey",
    ),
    "authorities.keys.notBefore": Case(
        spec(authority_of(key(notBefore=at(-60)))), spec(authority_of(key(notBefore=at(60)))), ("Allow", "Deny"), OUTSIDE
    ),
    "authorities.keys.notAfter": Case(
        spec(authority_of(key(notAfter=at(60)))), spec(authority_of(key(notAfter=at(-60)))), ("Allow", "Deny"), OUTSIDE
    ),
    "authorities.openpgp.keyring.armored": Case(
        spec({"name": "vendor", "openpgp": {"keyring": {"armored": openpgp.armored(openpgp.key("old"))}}}),
        spec({"name": "vendor", "openpgp": {"keyring": {"armored": openpgp.armored(openpgp.key())}}}),
        ("Deny", "Allow"),
        "WrongKey",
        (openpgp.signature(openpgp.key(), name=f"{IMAGE_NAME}:latest"),),
    ),
    "authorities.x509.level": Case(
        pki(level="Strict"), pki(level="Permissive"), ("Deny", "Warn"), "SignatureExpired", (notary(expiry=NOW - 60),)
    ),
    "authorities.x509.identities": Case(
        pki(), pki(identities=["C=DE, ST=Berlin, O=Acme, CN=other"]), ("Allow", "Deny"), "WrongSubject", (notary(),)
    ),
    "authorities.x509.revocation": Case(
        pki(),
        pki(revocation="Skip"),
        ("Deny", "Allow"),
        "RevocationUnknown",
        (notary(certificates.signer(ocsp=("https://nobody.example/",))),),
    ),
    "authorities.x509.stores.ca": Case(
        pki(stores={"signingAuthority": ANCHOR}),
        pki(stores={"signingAuthority": ANCHOR, "ca": ANCHOR}),
        ("Deny", "Allow"),
        "CertificateUntrusted",
        (notary(),),
    ),
    "authorities.x509.stores.ca.pem": Case(
        pki(stores={"ca": pem(certificates.root("Evil"))}), pki(), ("Deny", "Allow"), "CertificateUntrusted", (notary(),)
    ),
    "authorities.x509.stores.signingAuthority": Case(
        pki(),
        pki(stores={"ca": ANCHOR, "signingAuthority": ANCHOR}),
        ("Deny", "Allow"),
        "CertificateUntrusted",
        (BY_AUTHORITY,),
    ),
    "authorities.x509.stores.signingAuthority.pem": Case(
        pki(stores={"signingAuthority": pem(certificates.root("Evil"))}),
        pki(stores={"signingAuthority": ANCHOR}),
        ("Deny", "Allow"),
        "CertificateUntrusted",
        (BY_AUTHORITY,),
    ),
    "authorities.x509.stores.tsa": Case(
        pki(),
        pki(stores={"ca": ANCHOR, "tsa": pem(CLOCK.root)}),
        ("Deny", "Allow"),
        "OutsideValidity",
        (STAMPED,),
    ),
    "authorities.x509.stores.tsa.pem": Case(
        pki(stores={"ca": ANCHOR, "tsa": pem(TimestampAuthority("other clock").root)}),
        pki(stores={"ca": ANCHOR, "tsa": pem(CLOCK.root)}),
        ("Deny", "Allow"),
        "TimestampUntrusted",
        (STAMPED,),
    ),
    "authorities.transparencyLog": Case(
        keyless(), keyless(transparencyLog="Optional"), ("Deny", "Allow"), "LogRequired", UNLOGGED
    ),
    "authorities.trustRoot": Case(
        spec(), spec(authority(trustRoot="private")), ("Allow", "Deny"), "LogEntryMismatch", (logged_elsewhere(),)
    ),
    "authorities.keyless.trustRoot": Case(keyless("spare"), keyless("private"), ("Deny", "Allow"), "LogUntrusted", BY_CI),
    "authorities.keyless.identities": Case(
        keyless("private", identity(subject={"exact": "jane@example.com"})),
        keyless("private", identity(subject={"exact": "jane@example.com"}), identity()),
        ("Deny", "Allow"),
        "WrongSubject",
        BY_CI,
    ),
    "authorities.keyless.identities.issuer.exact": Case(
        issuer("exact", f"{ISSUER}/"), issuer("exact", ISSUER), ("Deny", "Allow"), "WrongIssuer", BY_CI
    ),
    "authorities.keyless.identities.issuer.glob": Case(
        issuer("glob", "https://*"), issuer("glob", "https://other.*"), ("Allow", "Deny"), "WrongIssuer", BY_CI
    ),
    "authorities.keyless.identities.issuer.regex": Case(
        issuer("regex", "https://token.*"), issuer("regex", "token.*"), ("Allow", "Deny"), "WrongIssuer", BY_CI
    ),
    "authorities.keyless.identities.subject.exact": Case(
        subject("exact", SUBJECT), subject("exact", SUBJECT[:-1]), ("Allow", "Deny"), "WrongSubject", BY_CI
    ),
    "authorities.keyless.identities.subject.glob": Case(
        subject("glob", "https://github.com/acme/shop/.github/workflows/*@refs/heads/main"),
        subject("glob", "https://github.com/acme/*@refs/heads/main"),
        ("Allow", "Deny"),
        "WrongSubject",
        BY_CI,
    ),
    "authorities.keyless.identities.subject.regex": Case(
        subject("regex", "https://github[.]com/acme/.*"),
        subject("regex", "github[.]com/acme/.*"),
        ("Allow", "Deny"),
        "WrongSubject",
        BY_CI,
    ),
    "authorities.keyless.identities.claims": Case(
        keyless("private", identity(claims=FROM)),
        keyless("private", identity(claims={**FROM, "sourceRepositoryRef": "refs/heads/main"})),
        ("Allow", "Deny"),
        "WrongClaim",
        BY_CI,
    ),
    "authorities.keyless.identities.insecureAnySubject": Case(
        subject("regex", ".*"), subject("regex", ".*", insecureAnySubject=True), ("Deny", "Warn"), "InvalidPolicy", BY_CI
    ),
    "authorities": Case(
        spec(authority("release"), **signed(of=["release"])),
        spec(authority("release", "next"), **signed(of=["release"])),
        ("Allow", "Deny"),
        "WrongKey",
    ),
    "require": Case(
        spec(), spec(**require({"name": "any", "unsafeAllowUnsigned": {"reason": "x"}})), ("Deny", "Warn"), "NoEvidence", ()
    ),
    "require.mode": Case(
        spec(**require({"name": "signed", "signature": {}})),
        spec(**require({"name": "signed", "mode": "Warn", "signature": {}})),
        ("Deny", "Warn"),
        "NoEvidence",
        (),
    ),
    "require.onMissing": Case(sbom(), sbom(onMissing="Deny"), ("Warn", "Deny"), "NoEvidence"),
    "require.onFailure": Case(
        sbom(), sbom(onFailure="Warn"), ("Deny", "Warn"), "WrongDigest", (*SIGNED, attested(SPDX, about=OTHER))
    ),
    "require.signature": Case(
        spec(**require({"name": "listed", "digests": [str(IMAGE)]})),
        spec(**require({"name": "listed", "signature": {}})),
        ("Allow", "Deny"),
        "NoEvidence",
        (),
    ),
    "require.signature.threshold": Case(
        spec(*CI, **signed(**ANY_OF)), spec(*CI, **signed(threshold=2, **ANY_OF)), ("Allow", "Deny"), "ThresholdNotMet"
    ),
    "require.signature.of": Case(
        spec(*CI, **signed(**ANY_OF)), spec(*CI, **signed(of=["ci"])), ("Allow", "Deny"), "WrongKey"
    ),
    "require.signature.perRole": Case(
        spec(*TWO, **signed(**ANY_OF)),
        spec(*TWO, **signed(perRole={"quality": 1}, **ANY_OF)),
        ("Allow", "Deny"),
        "RoleNotMet",
    ),
    "require.signature.annotations": Case(
        spec(**signed()), spec(**signed(annotations={"env": "prod"})), ("Allow", "Deny"), "WrongAnnotation"
    ),
    "require.attestation": Case(
        spec(*CI, **require({"name": "built", "digests": [str(IMAGE)]})),
        spec(*CI, **require(BUILT)),
        ("Allow", "Deny"),
        "NoEvidence",
        (),
    ),
    "require.attestation.predicateType": Case(
        spec(*CI, **require(BUILT)),
        spec(*CI, **require({"name": "built", "attestation": {"predicateType": "vuln", "of": ["ci"]}})),
        ("Allow", "Deny"),
        "WrongPredicateType",
        (attested(SLSA),),
    ),
    "require.attestation.of": Case(
        spec(*CI, **require(BUILT)),
        spec(*CI, **require({"name": "built", "attestation": {"predicateType": "slsaprovenance1", "of": ["release"]}})),
        ("Allow", "Deny"),
        "WrongKey",
        (attested(SLSA),),
    ),
    "require.sbom": Case(
        spec(*CI, **require({"name": "bill", "digests": [str(IMAGE)]})),
        sbom(onMissing="Deny"),
        ("Allow", "Deny"),
        "NoEvidence",
        (),
    ),
    "require.sbom.of": Case(
        sbom(onMissing="Deny"),
        sbom(onMissing="Deny", sbom={"of": ["release"]}),
        ("Allow", "Deny"),
        "WrongKey",
        (attested(SPDX),),
    ),
    "require.sbom.formats": Case(
        sbom(onMissing="Deny"),
        sbom(onMissing="Deny", sbom={"of": ["ci"], "formats": ["CycloneDX"]}),
        ("Allow", "Deny"),
        "WrongPredicateType",
        (attested(SPDX),),
    ),
    "require.digests": Case(
        spec(**require({"name": "base", "digests": [str(IMAGE)]})),
        spec(**require({"name": "base", "digests": [str(OTHER)]})),
        ("Allow", "Deny"),
        "DigestNotListed",
        (),
    ),
    "require.unsafeAllowUnsigned": Case(
        spec(**require({"name": "vendor", "signature": {}})),
        spec(**require({"name": "vendor", "unsafeAllowUnsigned": {"reason": "vendor does not sign"}})),
        ("Deny", "Warn"),
        "NoEvidence",
        (),
    ),
    "revoked": Case(spec(), spec(revoked={"digests": [str(IMAGE)]}), ("Allow", "Deny"), "Revoked"),
    "revoked.digests": Case(
        spec(revoked={"digests": [str(OTHER)]}), spec(revoked={"digests": [str(IMAGE)]}), ("Allow", "Deny"), "Revoked"
    ),
    "revoked.keys": Case(
        spec(revoked={"keys": [signing_key("foreign").fingerprint]}),
        spec(revoked={"keys": [signing_key().fingerprint]}),
        ("Allow", "Deny"),
        "Revoked",
    ),
    "revoked.certificates": Case(
        {**pki(), "revoked": {"certificates": [certificates.root("Evil").read.sha256]}},
        {**pki(), "revoked": {"certificates": [certificates.intermediate().read.sha256]}},
        ("Allow", "Deny"),
        "Revoked",
        (notary(),),
    ),
}

RIGHT = {"namespace": "sec", "name": "right", "key": "right"}
WRONG = {"namespace": "other", "name": "wrong", "key": "wrong"}
KINDS_OF_OBJECTS = {"secretKeyRef": secret, "configMapKeyRef": config_map}


def objects(reference: str, right: str, wrong: str) -> tuple[Document, ...]:
    """An object that holds what is right under the right key, and three whose only fault is one field of the reference."""
    make = KINDS_OF_OBJECTS[reference]
    return (make("right", right=right, wrong=wrong), make("wrong", right=wrong), make("right", "other", right=wrong))


def referring(
    path: str, right: str, wrong: str, build: Callable[[dict[str, Any]], dict[str, Any]], code: str, *evidence: Evidence
) -> dict[str, Case]:
    """Cases for a reference of each kind, and for each of its fields."""
    cases = {}
    for kind in KINDS_OF_OBJECTS:
        good = build({kind: RIGHT})
        context = {"documents": objects(kind, right, wrong)}
        for name in ("", *RIGHT):
            other = build({kind: {**RIGHT, name: WRONG[name]} if name else {**RIGHT, "name": "wrong"}})
            where = f"{path}.{kind}.{name}".rstrip(".")
            cases[where] = Case(good, other, ("Allow", "Deny"), code, evidence, context)
    return cases


def key_from(reference: dict[str, Any]) -> dict[str, Any]:
    return spec({"name": "release", "keys": [reference]})


def ring_from(reference: dict[str, Any]) -> dict[str, Any]:
    return spec({"name": "vendor", "openpgp": {"keyring": reference}})


ROOT, EVIL = certificates.root().pem.decode(), certificates.root("Evil").pem.decode()
CASES |= referring(
    "authorities.keys", signing_key().public_pem, signing_key("foreign").public_pem, key_from, "WrongKey", *SIGNED
)
CASES |= referring(
    "authorities.openpgp.keyring",
    openpgp.armored(openpgp.key()),
    openpgp.armored(openpgp.key("old")),
    ring_from,
    "WrongKey",
    openpgp.signature(openpgp.key(), name=f"{IMAGE_NAME}:latest"),
)
CASES |= referring(
    "authorities.x509.stores.ca", ROOT, EVIL, lambda ref: pki(stores={"ca": ref}), "CertificateUntrusted", notary()
)
CASES |= referring(
    "authorities.x509.stores.signingAuthority",
    ROOT,
    EVIL,
    lambda ref: pki(stores={"signingAuthority": ref}),
    "CertificateUntrusted",
    BY_AUTHORITY,
)
CASES |= referring(
    "authorities.x509.stores.tsa",
    CLOCK.root.pem.decode(),
    TimestampAuthority("other clock").root.pem.decode(),
    lambda ref: pki(stores={"ca": ANCHOR, "tsa": ref}),
    "TimestampUntrusted",
    STAMPED,
)

SLSA_1 = "https://slsa.dev/provenance/v1"
SHOP = "https://github.com/acme/shop"
BUILDER = "https://github.com/slsa-framework/slsa-github-generator/.github/workflows/generator.yml@refs/tags/v2.1.0"
WORKFLOW = "https://actions.github.io/buildtypes/workflow/v1"
BUILT_WELL = {
    "buildDefinition": {
        "buildType": WORKFLOW,
        "externalParameters": {"workflow": {"repository": SHOP, "ref": "refs/heads/main", "path": "build.yml"}},
    },
    "runDetails": {"builder": {"id": BUILDER}},
}
MADE = attestation(statement(SLSA_1, BUILT_WELL), signing_key())
ANY_BUILDER = ["https://github.com/**"]


def provenance(**fields: Any) -> dict[str, Any]:
    return spec(require=[{"name": "built", "provenance": {"builders": ANY_BUILDER, **fields}}])


def billed(*, package: dict[str, Any] | None = None, **fields: Any) -> tuple[dict[str, Any], Evidence]:
    """A policy about an SBOM, and one with this package."""
    evidence = attestation(statement(SPDX, bill(SPDX, **(package or {}))), signing_key())
    return spec(require=[{"name": "bill", "sbom": fields}]), evidence


def about_bill(path: str, good: Any, bad: Any, code: str, package: dict[str, Any] | None = None) -> dict[str, Case]:
    """A case for a field of `sbom`, written `packages.deny`."""

    def with_(value: Any) -> dict[str, Any]:
        *outer, last = path.split(".")
        fields: dict[str, Any] = {last: value}
        for name in reversed(outer):
            fields = {name: fields}
        return billed(**fields)[0]

    evidence = billed(package=package)[1]
    return {f"require.sbom.{path}": Case(with_(good), with_(bad), ("Allow", "Deny"), code, (evidence,))}


CASES |= about_bill("packages.deny", ["pkg:npm/express@<4.0"], ["pkg:npm/express@<5"], "PackageDenied")
MIT = {"licenseConcluded": "MIT OR GPL-3.0-only"}
CASES |= about_bill("licenses.deny", ["GPL-*"], ["GPL-*", "MIT"], "LicenseDenied", MIT)
CASES |= about_bill("licenses.allow", ["Apache-2.0", "MIT"], ["Apache-2.0"], "LicenseDenied", MIT)
CASES |= about_bill("requireSupplier", *(False, True), "SupplierMissing")
AGED = (sigstore.evidence(PRIVATE.sign_statement(["dsse"], content=statement(SLSA_1, BUILT_WELL))),)
BILL_AGED = (sigstore.evidence(PRIVATE.sign_statement(["dsse"], content=statement(SPDX))),)


def aged(kind: str, age: str, **fields: Any) -> dict[str, Any]:
    return {**keyless(), "require": [{"name": "aged", kind: {"maxAge": age, **fields}}]}


TWO_KINDS = {
    **spec(authority("release"), {"name": "ci", "keyless": {"trustRoot": "private", "identities": [identity()]}}),
}


def selecting_statements(select: str) -> dict[str, Any]:
    rule = {"predicateType": SLSA_1, "of": ["release", "ci"], "maxAge": "80000h", "select": select}
    return {**TWO_KINDS, "require": [{"name": "aged", "attestation": rule}]}


CASES |= {
    "require.attestation.maxAge": Case(
        aged("attestation", "80000h", predicateType=SLSA_1),
        aged("attestation", "1h", predicateType=SLSA_1),
        ("Allow", "Deny"),
        "TooOld",
        AGED,
    ),
    "require.sbom.maxAge": Case(aged("sbom", "80000h"), aged("sbom", "1h"), ("Allow", "Deny"), "TooOld", BILL_AGED),
    "require.attestation.select": Case(
        selecting_statements("Any"), selecting_statements("All"), ("Allow", "Deny"), "TooOld", (*AGED, MADE)
    ),
    "require.provenance": Case(
        provenance(), provenance(builders=["https://*.example/**"]), ("Allow", "Deny"), "WrongBuilder", (MADE,)
    ),
    "require.provenance.of": Case(
        spec(*CI, require=[{"name": "built", "provenance": {"builders": ANY_BUILDER, "of": ["release"]}}]),
        spec(*CI, require=[{"name": "built", "provenance": {"builders": ANY_BUILDER, "of": ["ci"]}}]),
        ("Allow", "Deny"),
        "WrongKey",
        (MADE,),
    ),
    "require.provenance.builders": Case(
        provenance(), provenance(builders=["https://github.com/*"]), ("Allow", "Deny"), "WrongBuilder", (MADE,)
    ),
    "require.provenance.source": Case(
        provenance(), provenance(source={"repository": f"{SHOP}-fork"}), ("Allow", "Deny"), "WrongSource", (MADE,)
    ),
    "require.provenance.source.repository": Case(
        provenance(source={"repository": SHOP}),
        provenance(source={"repository": "https://github.com/acme"}),
        ("Allow", "Deny"),
        "WrongSource",
        (MADE,),
    ),
    "require.provenance.source.refs": Case(
        provenance(source={"repository": SHOP, "refs": ["refs/heads/*"]}),
        provenance(source={"repository": SHOP, "refs": ["refs/tags/*"]}),
        ("Allow", "Deny"),
        "WrongSource",
        (MADE,),
    ),
    "require.provenance.buildTypes": Case(
        provenance(buildTypes=[WORKFLOW]),
        provenance(buildTypes=["https://other/*"]),
        ("Allow", "Deny"),
        "WrongBuildType",
        (MADE,),
    ),
}
UNKNOWN_BUILDER = {**BUILT_WELL, "runDetails": {"builder": {"id": "https://github.com/acme/own-builder"}}}
CASES["require.provenance.level"] = Case(
    provenance(level=1),
    provenance(level=2),
    ("Allow", "Deny"),
    "LevelNotMet",
    (attestation(statement(SLSA_1, UNKNOWN_BUILDER), signing_key()),),
)

NOT_JUDGED = {
    "authorities.keys.name": "names a key for people",
    "authorities.keyless": "is judged through its fields",
    "authorities.keyless.identities.issuer": "is judged through its fields",
    "authorities.keyless.identities.subject": "is judged through its fields",
    "authorities.openpgp": "is judged through its fields",
    "authorities.openpgp.keyring": "is judged through its fields",
    "authorities.x509": "is judged through its fields",
    "authorities.x509.stores": "is judged through its fields",
    "require.name": "names the requirement for people",
    "require.unsafeAllowUnsigned.reason": "is shown in the warning",
    "match": "is judged through its fields",
    "require.sbom.packages": "is judged through its fields",
    "require.sbom.licenses": "is judged through its fields",
}


def test_every_judged_field_has_a_case() -> None:
    assert set(JUDGED) == set(CASES) | set(NOT_JUDGED)
    assert not set(CASES) & set(NOT_JUDGED)


def judge(case: Case, written: dict[str, Any]) -> Report:
    # A policy that always passes covers the image, so that one left alone by the case's policy is judged by nothing else.
    cover = {**without(spec(), "authorities"), "require": [{"name": "any", "digests": [str(IMAGE)]}]}
    context = dict(case.context)
    documents = [policy(written), policy(cover, "cover"), namespace("shop", tier="prod"), *ROOTS]
    return verdict([*documents, *context.pop("documents", ())], *case.evidence, **context)


@pytest.mark.parametrize("path", CASES)
def test_the_field_alone_changes_the_verdict(path: str) -> None:
    case = CASES[path]
    before, after = judge(case, case.before), judge(case, case.after)
    assert (before.verdict, after.verdict) == tuple(map(Verdict, case.expected))
    stricter = max((before, after), key=lambda report: [*Verdict].index(report.verdict))
    assert case.code in reason_codes(stricter)


@pytest.mark.parametrize("path", CASES)
def test_the_two_policies_of_a_case_differ_in_that_field_only(path: str) -> None:
    changed = set(_differences(CASES[path].before, CASES[path].after, ""))
    assert changed
    if path == "authorities.name":
        return  # two names are exchanged, which moves the keys as well
    assert all(where == path or where.startswith(f"{path}.") or _kind_swap(path, where) for where in changed), changed


def _kind_swap(path: str, where: str) -> bool:
    """A requirement that becomes another kind loses the first: exactly one stands there."""
    parent = path.rpartition(".")[0]
    return parent == "require" and where.rpartition(".")[0] in {parent, *(f"require.{kind}" for kind in KINDS)}


KINDS = ("signature", "attestation", "sbom", "provenance", "digests", "unsafeAllowUnsigned")


def _differences(one: Any, other: Any, path: str) -> Iterator[str]:
    if isinstance(one, dict) and isinstance(other, dict):
        for name in {*one, *other}:
            yield from _differences(one.get(name), other.get(name), f"{path}.{name}".lstrip("."))
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for left, right in zip(one, other, strict=True):
            yield from _differences(left, right, path)
    elif one != other:
        yield path
