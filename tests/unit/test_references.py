"""Secrets and ConfigMaps that policies name: what is looked for, and what happens where it is not there."""

import base64
import json
from typing import Any

import pytest

from controller.compile.references import ObjectRef, referenced
from controller.decision.report import Verdict
from controller.errors import Code
from controller.policy.store import Document, read_text
from controller.settings import Limits
from tests.fakes.evidence import signature
from tests.fakes.keys import signing_key
from tests.fakes.policies import (
    LIMITS,
    authority,
    config_map,
    key,
    policy,
    reason_codes,
    secret,
    snapshot,
    spec,
    trust_root,
    verdict,
)
from tests.fakes.sigstore import PrivateSigstore, evidence
from tests.unit.policies_written import with_key
from tests.unit.test_policy_fields import keyless

REF = {"namespace": "sec", "name": "keys", "key": "release.pem"}
SIGNED = signature(signing_key())
GOOD = secret("keys", **{"release.pem": signing_key().public_pem})
BY_SECRET = policy(with_key(secretKeyRef=REF))


def in_a_map(name: str, key: str) -> Document:
    """The TrustRoot `private`, in a ConfigMap."""
    spec = {"configMapKeyRef": {"namespace": "sec", "name": name, "key": key}}
    return Document({**trust_root("private", {}).value, "spec": spec})


def test_only_what_is_named_is_looked_for() -> None:
    own = policy(with_key(secretKeyRef={"name": "mine", "key": "k"}), "own", namespace="shop")
    root = Document(
        {**trust_root("r", {}).value, "spec": {"configMapKeyRef": {"namespace": "sec", "name": "r", "key": "k"}}}
    )
    broken = policy({"authorities": [{"keys": [{"secretKeyRef": {"namespace": "sec", "name": "half", "key": 1}}]}]}, "half")
    assert referenced([BY_SECRET, own, root, broken, GOOD], LIMITS) == {
        ObjectRef("Secret", "sec", "keys"),
        ObjectRef("Secret", "shop", "mine"),
        ObjectRef("ConfigMap", "sec", "r"),
        ObjectRef("Secret", "sec", "half"),
    }
    many = [policy(with_key(secretKeyRef={**REF, "name": f"k{number}"}), f"p{number}") for number in range(9)]
    assert len(referenced(many, Limits(referenced_objects=4))) == 4


def test_a_tenants_policy_never_reaches_into_another_namespace() -> None:
    """Row 21: neither looked for nor, should somebody put it among the documents, read."""
    foreign = policy(with_key(secretKeyRef=REF), "own", namespace="shop")
    assert referenced([foreign], LIMITS) == frozenset()
    report = verdict([foreign, GOOD], SIGNED)
    assert report.verdict is Verdict.DENY
    assert "reads its own namespace only" in str(report.policies[0].reason)


@pytest.mark.parametrize(
    ("documents", "found"),
    [
        ((), "Secret sec/keys cannot be read"),
        ((config_map("keys", **{"release.pem": signing_key().public_pem}),), "Secret sec/keys cannot be read"),
        ((secret("keys", other=signing_key().public_pem),), "Secret sec/keys has no such key"),
        ((secret("keys", **{"release.pem": "hush"}),), "key release.pem of Secret sec/keys"),
    ],
)
@pytest.mark.parametrize("mode", ["Deny", "Warn"])
def test_a_key_that_is_not_there_leaves_its_authority_undecided_and_is_nobodys_being_away(
    documents: tuple[Document, ...], found: str, mode: str
) -> None:
    report = verdict([policy({**with_key(secretKeyRef=REF), "onUnavailable": mode}), *documents], SIGNED)
    assert (report.verdict, report.undecided) == (Verdict.DENY, True)
    assert reason_codes(report) == {Code.KEY_UNAVAILABLE}
    assert found in str(report.policies[0].requirements[0].reason)
    assert "hush" not in str(report)  # what stands in a Secret is never said


def test_the_other_keys_and_authorities_still_count() -> None:
    both = spec({"name": "release", "keys": [{"secretKeyRef": REF}, key("next")]})
    by_next, by_nobody = signature(signing_key("next")), signature(signing_key("foreign"))
    assert verdict(policy(both), by_next).verdict is Verdict.ALLOW
    refused = verdict(policy(both), by_nobody)
    assert (refused.verdict, reason_codes(refused)) == (Verdict.DENY, {Code.KEY_UNAVAILABLE})
    either = [{"name": "signed", "signature": {"of": ["gone", "release"]}}]
    gone = {"name": "gone", "keys": [{"secretKeyRef": REF}]}
    assert verdict(policy(spec(gone, authority("release"), require=either)), SIGNED).verdict is Verdict.ALLOW


def test_a_changed_secret_is_another_snapshot_and_an_unrelated_key_is_not() -> None:
    first = snapshot(BY_SECRET, GOOD)
    same = secret("keys", **{"release.pem": signing_key().public_pem, "unrelated": "x"})
    assert snapshot(BY_SECRET, same).fingerprint == first.fingerprint
    assert snapshot(BY_SECRET, GOOD, secret("another", x="y")).fingerprint == first.fingerprint
    changed = secret("keys", **{"release.pem": signing_key("next").public_pem})
    assert snapshot(BY_SECRET, changed).fingerprint != first.fingerprint
    assert snapshot(BY_SECRET).fingerprint != first.fingerprint
    assert verdict([BY_SECRET, GOOD], SIGNED).verdict is Verdict.ALLOW
    assert reason_codes(verdict([BY_SECRET, changed], SIGNED)) == {Code.WRONG_KEY}


def test_a_trust_root_in_a_config_map() -> None:
    sigstore = PrivateSigstore("mapped")
    root = in_a_map("roots", "root")
    by_ci = evidence(sigstore.sign_statement())
    corp = policy(keyless())
    content = json.dumps(sigstore.document())
    assert verdict([corp, root, config_map("roots", root=content)], by_ci).verdict is Verdict.ALLOW
    for documents in (
        [corp, root],
        [corp, root, config_map("roots", root="{")],
        [corp, root, config_map("roots", other="x")],
    ):
        assert reason_codes(verdict(documents, by_ci)) == {Code.ROOT_UNAVAILABLE}


def test_objects_may_stand_in_a_policy_directory() -> None:
    text = "apiVersion: v1\nkind: Secret\nmetadata: {name: keys, namespace: sec}\nstringData: {release.pem: |\n  PEM}\n"
    pem = json.dumps(signing_key().public_pem)
    (found,) = read_text(text.replace("|\n  PEM", pem).encode(), "secret.yaml", LIMITS)
    assert verdict([BY_SECRET, found], SIGNED).verdict is Verdict.ALLOW
    binary: dict[str, Any] = dict(config_map("keys").value)
    binary["binaryData"] = {"release.pem": base64.b64encode(signing_key().public_pem.encode()).decode()}
    by_map = policy(with_key(configMapKeyRef=REF))
    assert verdict([by_map, Document(binary)], SIGNED).verdict is Verdict.ALLOW


def test_without_a_namespace_an_object_is_refused_by_name() -> None:
    with pytest.raises(Exception, match=r"metadata\.namespace is missing"):
        read_text(b"apiVersion: v1\nkind: Secret\nmetadata: {name: keys}\n", "secret.yaml", LIMITS)
