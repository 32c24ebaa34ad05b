"""Trust roots under the names that policies use: read, missing, broken, exchanged."""

import json
from pathlib import Path
from typing import Any, ClassVar

import pytest

from controller.compile import Roots, check_root, compile_one, compile_policies
from controller.compile.compiled import CompiledPolicy, Snapshot
from controller.decision.report import Report, Verdict
from controller.demo import payloads
from controller.demo.mediatypes import COSIGN_SIGNATURE
from controller.errors import Code, Invalid
from controller.evidence import Evidence
from controller.formats.notation import JWS
from controller.policy.store import Document, read_directory, read_text
from controller.policy.words import API_VERSION
from controller.settings import Limits
from tests.fakes import notation, pki, rekor, sigstore
from tests.fakes.authorities import ISSUER, SUBJECT, b64
from tests.fakes.evidence import IMAGE, image_bundle, signature
from tests.fakes.keys import signing_key
from tests.fakes.policies import LIMITS, authority, policy, reason_codes, spec, trust_root, verdict
from tests.fakes.sigstore import PrivateSigstore

PRIVATE = PrivateSigstore("private")
SPARE = PrivateSigstore("spare")
BY_CI = sigstore.evidence(PRIVATE.sign_statement())
ANYWAY = {"require": [{"name": "signed", "signature": {"of": ["release", "ci"]}}]}


def keyless(root: str = "private", **fields: Any) -> dict[str, Any]:
    who = {"issuer": {"exact": ISSUER}, "subject": {"exact": SUBJECT}}
    return {"name": "ci", "keyless": {"trustRoot": root, "identities": [who]}, **fields}


def root(instance: PrivateSigstore = PRIVATE, name: str = "private") -> Document:
    return trust_root(name, instance.document())


def snapshot(*documents: Document, limits: Limits = LIMITS) -> Snapshot:
    return compile_policies(documents, 1, limits)


def only(current: Snapshot) -> CompiledPolicy:
    (one,) = current.policies
    return one


def refusal(document: Document, *roots: Document) -> Invalid:
    with pytest.raises(Invalid) as caught:
        compile_one(document, LIMITS, Roots.read(roots, LIMITS))
    return caught.value


class TestNamed:
    def test_admits_what_it_vouches_for(self) -> None:
        assert verdict([policy(spec(keyless())), root()], BY_CI).verdict is Verdict.ALLOW

    def test_another_instance_under_the_name_does_not(self) -> None:
        report = verdict([policy(spec(keyless())), root(SPARE)], BY_CI)
        assert (report.verdict, reason_codes(report)) == (Verdict.DENY, {Code.LOG_UNTRUSTED})

    def test_a_changed_root_is_another_judge_and_another_snapshot(self) -> None:
        written = policy(spec(keyless(), authority(trustRoot="private"), **ANYWAY))
        before, same, after = (snapshot(written, given) for given in (root(), root(), root(SPARE)))
        assert before.fingerprint == same.fingerprint != after.fingerprint

        def judges(current: Snapshot) -> list[str]:
            return [one.judge.fingerprint for one in only(current).authorities]

        assert judges(before) == judges(same)
        assert not set(judges(before)) & set(judges(after))

    @pytest.mark.parametrize("name", ["public-good", "github"])
    def test_built_in(self, name: str) -> None:
        written = policy(spec(keyless(name, transparencyLog="Optional")))
        report = verdict([written], BY_CI)
        assert compile_one(written, LIMITS).broken is None
        assert (report.verdict, reason_codes(report)) == (Verdict.DENY, {Code.CERTIFICATE_UNTRUSTED})

    def test_one_without_logs_cannot_require_them(self) -> None:
        error = refusal(policy(spec(keyless("github"))))
        assert (error.field, error.reason.expected) == ("spec.authorities[0].transparencyLog", "Optional")

    def test_a_required_log_needs_a_root(self) -> None:
        error = refusal(policy(spec(authority(transparencyLog="Required"))))
        assert error.field == "spec.authorities[0].transparencyLog"
        assert error.reason.expected == "trustRoot, to say whose log"


class TestKeys:
    @pytest.mark.parametrize(("logged", "expected"), [(True, Verdict.ALLOW), (False, Verdict.DENY)])
    def test_a_required_log_must_hold_the_signature(self, logged: bool, expected: Verdict) -> None:  # noqa: FBT001
        written = policy(spec(authority(trustRoot="private", transparencyLog="Required")))
        report = verdict([written, root()], _by_key() if logged else image_bundle(signing_key()))
        assert report.verdict is expected
        assert logged or reason_codes(report) == {Code.LOG_REQUIRED}

    def test_a_certificate_beside_the_signature_is_still_nobodys(self) -> None:
        report = verdict([policy(spec(authority(trustRoot="private"))), root()], BY_CI)
        assert (report.verdict, reason_codes(report)) == (Verdict.DENY, {Code.WRONG_KEY})


def _by_key() -> Evidence:
    """A `.sig` layer by key beside the private log's entry of it."""
    key, claim = signing_key(), payloads.claim(IMAGE, "registry.example.com/shop/web")
    raw = key.sign(claim)
    entry = PRIVATE.rekor1.annotation(rekor.hashedrekord(claim, raw, key.public_pem.encode()))
    return sigstore.signature_layer(claim, {COSIGN_SIGNATURE: b64(raw), sigstore.ENTRY: entry})


class TestMissing:
    """Design, rule 12: an authority whose root cannot be loaded is undecided; others still count."""

    def judged(self, *evidence: Evidence, **fields: Any) -> Report:
        return verdict(policy(spec(authority("release"), keyless(), **ANYWAY, **fields)), *evidence)

    def test_a_misspelt_root_is_named(self) -> None:
        error = refusal(policy(spec(keyless("privat"))), root())
        assert error.field == "spec.authorities[0].keyless.trustRoot"
        assert (error.reason.expected, error.reason.found) == ("public-good, github, private", "privat")
        assert refusal(policy(spec(authority(trustRoot="privat")))).field == "spec.authorities[0].trustRoot"

    def test_in_force_it_is_undecided(self) -> None:
        report = self.judged(BY_CI)
        assert (report.verdict, report.undecided) == (Verdict.DENY, True)
        assert reason_codes(report) == {Code.ROOT_UNAVAILABLE}
        assert "there is no such TrustRoot" in str(report.policies[0].requirements[0].reason)

    def test_the_others_still_count(self) -> None:
        assert self.judged(signature(signing_key())).verdict is Verdict.ALLOW

    def test_on_unavailable_is_about_roots_too(self) -> None:
        assert self.judged(BY_CI, onUnavailable="Warn").verdict is Verdict.WARN

    @pytest.mark.parametrize("kind", ["keys", "x509"])
    def test_keys_and_certificates_under_it_are_undecided_too(self, kind: str) -> None:
        stores = {"ca": {"pem": pki.root().pem.decode()}}
        x509 = {"name": "a", "x509": {"stores": stores, "identities": ["C=DE, ST=Berlin, O=Acme"]}, "trustRoot": "private"}
        written = authority(trustRoot="private") if kind == "keys" else x509
        report = verdict(policy(spec(written)), signature(signing_key()))
        assert (report.undecided, reason_codes(report)) == (True, {Code.ROOT_UNAVAILABLE})

    def test_a_broken_root_says_why(self) -> None:
        broken = trust_root("private", {**PRIVATE.document(), "tlog": []})
        with pytest.raises(Invalid, match=r"spec\.inline: .*member that is not known") as caught:
            check_root(broken, LIMITS)
        assert caught.value.reason.code is Code.INVALID_ROOT
        report = verdict([policy(spec(keyless())), broken], BY_CI)
        assert reason_codes(report) == {Code.ROOT_UNAVAILABLE}
        assert "member that is not known" in str(report.policies[0].requirements[0].reason)

    def test_too_many_roots(self) -> None:
        given = (policy(spec(keyless("b"))), root(name="a"), root(name="b"))
        judge = only(snapshot(*given, limits=Limits(trust_roots=1))).authorities[0].judge
        assert judge.description == "whoever trust root b vouches for"
        assert only(snapshot(*given)).authorities[0].judge.description.startswith("identity ")


WRONG: list[tuple[dict[str, Any], dict[str, Any], str, Code]] = [
    ({}, {"inline": "{"}, "spec.inline", Code.INVALID_ROOT),
    ({}, {}, "spec", Code.INVALID_POLICY),
    ({}, {"inline": "{}", "inlin": "{}"}, "spec.inlin", Code.INVALID_POLICY),
    ({"name": "github"}, {"inline": "{}"}, "metadata.name", Code.INVALID_POLICY),
    ({"namespace": "shop"}, {"inline": "{}"}, "metadata.namespace", Code.INVALID_POLICY),
    ({}, {"configMapKeyRef": {"name": "roots", "key": "x"}}, "spec.configMapKeyRef.namespace", Code.INVALID_POLICY),
    ({}, {"tuf": {"url": "file:///etc/roots", "root": "{}"}}, "spec.tuf.url", Code.INVALID_POLICY),
    ({}, {"tuf": {"url": "https://tuf.example.com", "root": "{}"}, "inline": "{}"}, "spec", Code.INVALID_POLICY),
]


@pytest.mark.parametrize(("metadata", "written", "field", "code"), WRONG)
def test_what_is_wrong_with_a_trust_root_is_named(
    metadata: dict[str, Any], written: dict[str, Any], field: str, code: Code
) -> None:
    value = {"apiVersion": API_VERSION, "kind": "TrustRoot", "metadata": {"name": "corp", **metadata}, "spec": written}
    with pytest.raises(Invalid) as caught:
        check_root(Document(value), LIMITS)
    assert (caught.value.field, caught.value.reason.code) == (field, code)


class TestFiles:
    def test_a_trusted_root_beside_the_policies_is_a_trust_root(self, tmp_path: Path) -> None:
        (tmp_path / "private.trusted_root.json").write_text(json.dumps(PRIVATE.document()), encoding="utf-8")
        (tmp_path / "corp.json").write_text(json.dumps(policy(spec(keyless())).value), encoding="utf-8")
        documents = read_directory(tmp_path, LIMITS).documents
        assert [(document.kind, document.name) for document in documents] == [
            ("ClusterTrustPolicy", "corp"),
            ("TrustRoot", "private"),
        ]
        assert verdict(documents, BY_CI).verdict is Verdict.ALLOW

    def test_a_list_of_trust_roots(self) -> None:
        text = json.dumps({"apiVersion": API_VERSION, "kind": "TrustRootList", "items": [_bare(root().value)]})
        (read,) = read_text(text.encode(), "roots.json", LIMITS)
        assert (read.kind, check_root(read, LIMITS).metadata.name) == ("TrustRoot", "private")

    def test_a_name_that_two_files_give_is_refused(self, tmp_path: Path) -> None:
        for name in ("private.json", "private.2.json"):
            (tmp_path / name).write_text(json.dumps(PRIVATE.document()), encoding="utf-8")
        with pytest.raises(Invalid, match="TrustRoot private stands twice"):
            read_directory(tmp_path, LIMITS)


def _bare(value: Any) -> dict[str, Any]:
    return {name: value[name] for name in ("metadata", "spec")}


def test_a_required_log_refuses_what_no_log_can_hold() -> None:
    x509 = {"stores": {"ca": {"pem": pki.root().pem.decode()}}, "identities": ["C=DE, ST=Berlin, O=Acme"]}
    plain = {"name": "pki", "x509": x509, "trustRoot": "private"}
    found = notation.evidence(JWS, pki.signer(), notation.Wanted())
    assert verdict([policy(spec(plain)), root()], found).verdict is Verdict.ALLOW
    report = verdict([policy(spec({**plain, "transparencyLog": "Required"})), root()], found)
    assert (report.verdict, reason_codes(report)) == (Verdict.DENY, {Code.LOG_REQUIRED})


def test_a_verdict_on_a_key_in_a_log_is_bound_to_this_signature() -> None:
    written = policy(spec(authority(trustRoot="private", transparencyLog="Required")))
    other = rekor.hashedrekord(b"another claim", b"another signature", signing_key().public_pem.encode())
    found = signature(signing_key(), hints={sigstore.ENTRY: PRIVATE.rekor1.annotation(other)})
    report = verdict([written, root()], found)
    assert (report.verdict, reason_codes(report)) == (Verdict.DENY, {Code.LOG_ENTRY_MISMATCH})


class TestAnySubject:
    ANYBODY: ClassVar[dict[str, Any]] = {"issuer": {"exact": ISSUER}, "subject": {"regex": ".*"}, "insecureAnySubject": True}

    def judged(self, *identities: dict[str, Any]) -> Report:
        authority = {"name": "ci", "keyless": {"trustRoot": "private", "identities": list(identities)}}
        return verdict([policy(spec(authority)), root()], BY_CI)

    def test_believing_anybody_warns_on_every_use(self) -> None:
        report = self.judged(self.ANYBODY)
        assert (report.verdict, reason_codes(report)) == (Verdict.WARN, {Code.ANY_SUBJECT})

    def test_an_identity_that_is_meant_comes_first(self) -> None:
        meant = {"issuer": {"exact": ISSUER}, "subject": {"exact": SUBJECT}}
        assert self.judged(self.ANYBODY, meant).verdict is Verdict.ALLOW
