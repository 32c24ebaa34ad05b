"""Attack 23: a chain of a thousand certificates, pathological names (CVE-2026-32280, CVE-2023-25656)."""

import dataclasses

import pytest
from cryptography import x509

from controller import certificates
from controller.certificates import Certificate
from controller.demo.mediatypes import COSIGN_SIGNATURE
from controller.errors import Code, Refused
from controller.settings import Limits
from controller.verify import chain
from tests.fakes.authorities import CODE_SIGNING, Holder, Identity, Wanted, certify
from tests.fakes.evidence import IMAGE
from tests.fakes.keys import signing_key
from tests.fakes.sigstore import CHAIN, NOW, PrivateSigstore, evidence, signature_layer

LIMIT = 16


def refusal_code(call: object) -> Code:
    with pytest.raises(Refused) as caught:
        call()  # type: ignore[operator] # each is a function
    return caught.value.reason.code


def test_a_thousand_certificates_are_refused_before_any_is_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    sigstore = PrivateSigstore()
    bundle = sigstore.sign_statement()
    bundle["verificationMaterial"] |= sigstore.material(sigstore.holder(), chain=[b"no certificate"] * 1000)
    del bundle["verificationMaterial"]["certificate"]
    assert refusal_code(lambda: evidence(bundle)) is Code.LIMIT_EXCEEDED
    claim, annotations = sigstore.sign_layer()
    pem = sigstore.ca.intermediate.pem.decode()
    assert refusal_code(lambda: signature_layer(claim, {**annotations, CHAIN: pem * 40})) is Code.LIMIT_EXCEEDED
    piece = signature_layer(claim, {**annotations, CHAIN: ""})
    many = dataclasses.replace(piece, material=dataclasses.replace(piece.material, chain=(b"x",) * 1000))
    judge = sigstore.authority()
    monkeypatch.setattr(certificates, "parse", None)  # parsing the first would break off
    assert refusal_code(lambda: judge.judge(many, IMAGE, NOW)) is Code.LIMIT_EXCEEDED


def test_search_among_certificates_that_all_fit_each_other_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sixteen authorities with one name and one key: every one issued every other."""
    key = signing_key("maze")
    seed = certify(Wanted("maze"), key, None)
    maze = [certify(Wanted("maze", path_length=number), key, seed) for number in range(LIMIT)]
    parsed = [parse(one) for one in maze]
    leaf = parse(certify(Wanted("", authority=False, usages=(CODE_SIGNING,)), signing_key("leaf"), maze[0]))
    sigstore = PrivateSigstore()
    document = sigstore.document()
    document["certificateAuthorities"][0]["certChain"]["certificates"].pop(0)
    (authority,) = sigstore.root(document).authorities
    asked = 0
    plain = Certificate.issued

    def counted(self: Certificate, other: Certificate) -> bool:
        nonlocal asked
        asked += 1
        return plain(self, other)

    monkeypatch.setattr(Certificate, "issued", counted)
    assert chain.build(leaf, authority, parsed, limit=LIMIT) is None
    assert asked <= (LIMIT + 1) * (LIMIT + 1)


def test_a_huge_certificate_is_refused_before_it_is_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    sigstore = PrivateSigstore()
    names = tuple(x509.RFC822Name(f"name-{number}@example.com") for number in range(3000))
    bundle = sigstore.sign_statement(holder=sigstore.holder(Identity(names)))
    judge = sigstore.authority()
    monkeypatch.setattr(x509, "load_der_x509_certificate", None)
    assert refusal_code(lambda: judge.judge(evidence(bundle), IMAGE, NOW)) is Code.LIMIT_EXCEEDED


def test_many_names_below_that_size_are_nobody_in_particular() -> None:
    sigstore = PrivateSigstore()
    names = tuple(x509.RFC822Name(f"name-{number}@example.com") for number in range(1000))
    bundle = sigstore.sign_statement(holder=sigstore.holder(Identity(names)))
    assert refusal_code(lambda: sigstore.authority().judge(evidence(bundle), IMAGE, NOW)) is Code.WRONG_SUBJECT


def test_what_a_bundle_brings_leads_to_a_root_that_is_listed_alone() -> None:
    """The ordinary use of a chain, beside cosign signatures and in bundles."""
    sigstore = PrivateSigstore()
    document = sigstore.document()
    document["certificateAuthorities"][0]["certChain"]["certificates"].pop(0)
    judge = sigstore.authority(document=document)
    assert judge.judge(signature_layer(*sigstore.sign_layer()), IMAGE, NOW)
    holder = sigstore.holder()
    bundle = sigstore.sign_statement(holder=holder)
    assert refusal_code(lambda: judge.judge(evidence(bundle), IMAGE, NOW)) is Code.CERTIFICATE_UNTRUSTED
    entries = bundle["verificationMaterial"]["tlogEntries"]
    bundle["verificationMaterial"] = sigstore.material(holder, entries, chain=[sigstore.ca.intermediate.der])
    assert judge.judge(evidence(bundle), IMAGE, NOW)


def test_a_retired_intermediate_is_not_brought_back() -> None:
    """Where the root lists its intermediates, one that it does not list does not count, though the root issued it."""
    sigstore = PrivateSigstore()
    retired = certify(Wanted("retired", usages=(CODE_SIGNING,)), signing_key("retired"), sigstore.ca.root)
    holder = sigstore.holder(issuer=retired)
    bundle = sigstore.sign_statement(holder=holder)
    entries = bundle["verificationMaterial"]["tlogEntries"]
    bundle["verificationMaterial"] = sigstore.material(holder, entries, chain=[retired.der])
    assert refusal_code(lambda: sigstore.authority().judge(evidence(bundle), IMAGE, NOW)) is Code.CERTIFICATE_UNTRUSTED


def test_a_root_that_comes_along_is_not_trusted() -> None:
    sigstore, other = PrivateSigstore(), PrivateSigstore("other")
    claim, annotations = other.sign_layer()
    annotations["dev.sigstore.cosign/bundle"] = ""
    piece = signature_layer(
        claim, {name: annotations[name] for name in annotations if name != COSIGN_SIGNATURE} | annotations
    )
    judge = sigstore.authority(log_required=False)
    assert refusal_code(lambda: judge.judge(piece, IMAGE, NOW)) is Code.CERTIFICATE_UNTRUSTED
    holder = sigstore.holder()
    bundle = sigstore.sign_statement(holder=holder)
    entries = bundle["verificationMaterial"]["tlogEntries"]
    bundle["verificationMaterial"] = sigstore.material(holder, entries, chain=[sigstore.ca.root.der])
    assert refusal_code(lambda: sigstore.authority().judge(evidence(bundle), IMAGE, NOW)) is Code.ROOT_IN_CHAIN


def parse(holder: Holder) -> Certificate:
    return certificates.parse(holder.der, "certificate", limit=Limits().certificate_bytes)
