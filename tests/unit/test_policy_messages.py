"""What a person reads who wrote a policy wrong: the path of the field as written, what was expected, what stood there."""

from typing import Any

import pytest

from controller.compile import compile_one
from controller.errors import Code
from tests.fakes.keys import signing_key
from tests.fakes.policies import LIMITS, authority, key, policy, spec, without
from tests.unit.policies_written import matching, refusal, signed, with_key, with_require

DIGEST = "sha256:" + "a" * 64


SHAPES = [
    (spec(mode="enforce"), "spec.mode", "Enforce, Warn or Audit", '"enforce"'),
    (spec(mode=None), "spec.mode", "Enforce, Warn or Audit", "nothing"),
    (spec(onUnavailable="Allow"), "spec.onUnavailable", "Deny or Warn", '"Allow"'),
    (spec(modes="Warn"), "spec.modes", "mode (did you mean it?)", ""),
    (spec(Mode="Warn"), "spec.Mode", "mode (did you mean it?)", ""),
    (spec(on_unavailable="Warn"), "spec.on_unavailable", "onUnavailable (did you mean it?)", ""),
    (without(spec(), "match"), "spec.match", "", ""),
    (spec(match=[]), "spec.match", "a mapping", "an empty list"),
    (spec(match={}), "spec.match.images", "", ""),
    (spec(match={"images": []}), "spec.match.images", "at least 1 items", "an empty list"),
    (spec(match={"images": "*/**"}), "spec.match.images", "a list", '"*/**"'),
    (spec(match={"images": [True]}), "spec.match.images[0]", "text (in quotes", "true"),
    (spec(match={"images": ["*/**"] * 257}), "spec.match.images", "at most 256 items", "a list of 257"),
    (matching(excludeImage=["*/**"]), "spec.match.excludeImage", "excludeImages (did you mean it?)", ""),
    (matching(colour="red"), "spec.match.colour", "one of images, excludeImages", ""),
    (matching(objectSelector={"matchLabels": {"app": 1}}), "spec.match.objectSelector.matchLabels.app", "text", "1"),
    (
        matching(objectSelector={"matchExpressions": [{"key": "app", "operator": "in"}]}),
        "spec.match.objectSelector.matchExpressions[0].operator",
        "In, NotIn, Exists or DoesNotExist",
        '"in"',
    ),
    (spec({"keys": [key()]}), "spec.authorities[0].name", "", ""),
    (spec({"name": "Release", "keys": [key()]}), "spec.authorities[0].name", "text of the form", '"Release"'),
    (spec({"name": "r" * 64, "keys": [key()]}), "spec.authorities[0].name", "at most 63 characters", ""),
    (spec({"name": "release", "keys": []}), "spec.authorities[0].keys", "at least 1 items", "an empty list"),
    (with_key(pen="x"), "spec.authorities[0].keys[0].pen", "pem (did you mean it?)", ""),
    (with_key(pem=5), "spec.authorities[0].keys[0].pem", "text", "5"),
    (with_key(pem="x" * 16385), "spec.authorities[0].keys[0].pem", "at most 16384 characters", ""),
    (with_key(pem="x", notAfter="tomorrow"), "spec.authorities[0].keys[0].notAfter", "an RFC 3339 time", '"tomorrow"'),
    (with_key(pem="x", notAfter="2026-01-01"), "spec.authorities[0].keys[0].notAfter", "an RFC 3339 time", '"2026-01-01"'),
    (
        with_key(pem="x", notAfter="2026-13-01T00:00:00Z"),
        "spec.authorities[0].keys[0].notAfter",
        "month must be in",
        "2026-13",
    ),
    (spec(require=[]), "spec.require", "at least 1 items", "an empty list"),
    (signed(threshold=0), "spec.require[0].signature.threshold", "at least 1", "0"),
    (signed(threshold="2"), "spec.require[0].signature.threshold", "a whole number", '"2"'),
    (signed(threshold=True), "spec.require[0].signature.threshold", "a whole number", "true"),
    (signed(thresholds=2), "spec.require[0].signature.thresholds", "threshold (did you mean it?)", ""),
    (signed(annotations={"env": None}), "spec.require[0].signature.annotations.env", "text", "nothing"),
    (signed(perRole={"dev": 0}), "spec.require[0].signature.perRole.dev", "at least 1", "0"),
    (
        with_require({"name": "b", "sbom": {"of": ["ci"], "requireSupplier": "yes"}}),
        "spec.require[0].sbom.requireSupplier",
        "true or false",
        '"yes"',
    ),
    (
        with_require({"name": "b", "sbom": {"of": ["ci"], "maxAge": "30 days"}}),
        "spec.require[0].sbom.maxAge",
        "a duration such as",
        '"30 days"',
    ),
    (
        with_require({"name": "b", "sbom": {"of": ["ci"], "packages": {"denny": []}}}),
        "spec.require[0].sbom.packages.denny",
        "deny (did you mean it?)",
        "",
    ),
    (with_require({"name": "d", "digests": ["sha256:abc"]}), "spec.require[0].digests[0]", "sha256:<64 hex", '"sha256:abc"'),
    (with_require({"name": "d", "digests": []}), "spec.require[0].digests", "at least 1 items", "an empty list"),
    (with_require({"name": "u", "unsafeAllowUnsigned": {}}), "spec.require[0].unsafeAllowUnsigned.reason", "", ""),
    (
        with_require({"name": "u", "unsafeAllowUnsigned": {"reason": ""}}),
        "spec.require[0].unsafeAllowUnsigned.reason",
        "",
        "",
    ),
    (spec(revoked={"keys": ["SHA256:ab12"]}), "spec.revoked.keys[0]", "at least 48 characters", '"SHA256:ab12"'),
    (spec(revoked={"digests": ["latest"]}), "spec.revoked.digests[0]", "", '"latest"'),
    ([], "spec", "a mapping", "an empty list"),
    (None, "spec", "a mapping", "nothing"),
]


@pytest.mark.parametrize(("written", "field", "expected", "found"), SHAPES)
def test_a_wrong_shape_is_named(written: Any, field: str, expected: str, found: str) -> None:
    error = refusal(written)
    assert (error.field, error.reason.code) == (field, Code.INVALID_POLICY)
    assert str(error).startswith(f"{field}: ")
    assert expected in error.reason.expected
    assert found in error.reason.found


RULES = [
    (
        spec({"name": "release"}),
        "spec.authorities[0]",
        "exactly one of keys, keyless, x509, openpgp",
        "none of them",
    ),
    (
        with_key(name="h1"),
        "spec.authorities[0].keys[0]",
        "exactly one of pem, secretKeyRef, configMapKeyRef",
        "none of them",
    ),
    (spec(authority("release"), authority("release")), "spec.authorities[1].name", "", "release"),
    (spec({"name": "release", "keys": [key(name="a"), key(name="a")]}), "spec.authorities[0].keys[1].name", "", "a"),
    (spec(authority("release"), authority("ci")), "spec.require", "which of them must have signed", "2 authorities"),
    (without(spec(), "authorities"), "spec.authorities", "at least one authority", ""),
    ({**spec(revoked={"digests": []}), "authorities": []}, "spec.authorities", "at least one authority", ""),
    (with_require({"name": "a"}), "spec.require[0]", "exactly one of signature, attestation", "none of them"),
    (
        with_require({"name": "a", "digests": [DIGEST], "signature": {"of": ["ci"]}}),
        "spec.require[0]",
        "exactly one of signature",
        "signature and digests",
    ),
    (
        with_require({"name": "a", "digests": [DIGEST]}, {"name": "a", "digests": [DIGEST]}),
        "spec.require[1].name",
        "",
        "a",
    ),
    (with_require({"name": "a", "signature": {}}), "spec.require[0].signature.of", "one or more of release, ci", ""),
    (with_require({"name": "a", "sbom": {}}), "spec.require[0].sbom.of", "one or more of release, ci", ""),
    (signed(of=["release", "qa"]), "spec.require[0].signature.of[1]", "release, ci", "qa"),
    (signed(of=["ci", "ci"]), "spec.require[0].signature.of[1]", "", "ci"),
    (signed(threshold=3), "spec.require[0].signature.threshold", "1 to 2", "3"),
    (signed(perRole={"qa": 1}), "spec.require[0].signature.perRole.qa", "dev", ""),
    (signed(perRole={"dev": 2}), "spec.require[0].signature.perRole.dev", "at most 1", "2"),
    (signed(of=["ci"], perRole={"dev": 1}), "spec.require[0].signature.perRole.dev", "authorities with a role", ""),
    (
        with_require({"name": "a", "mode": "Enforce", "digests": [DIGEST]}, mode="Warn"),
        "spec.require[0].mode",
        "at most Warn",
        "Enforce",
    ),
    (
        with_require({"name": "a", "mode": "Warn", "digests": [DIGEST]}, mode="Audit"),
        "spec.require[0].mode",
        "Audit",
        "Warn",
    ),
    (
        with_require({"name": "a", "onMissing": "Warn", "signature": {"of": ["ci"]}}),
        "spec.require[0].onMissing",
        "",
        "Warn",
    ),
    (with_require({"name": "a", "onFailure": "Ignore", "digests": [DIGEST]}), "spec.require[0].onFailure", "", "Ignore"),
    (
        with_require({"name": "a", "attestation": {"predicateType": "spdxjsn", "of": ["ci"]}}),
        "spec.require[0].attestation.predicateType",
        "spdxjson (did you mean it?)",
        "spdxjsn",
    ),
    (
        with_require({"name": "a", "attestation": {"predicateType": "https://sigstore.dev/cosign/sign/v1", "of": ["ci"]}}),
        "spec.require[0].attestation.predicateType",
        "a `signature` requirement",
        "",
    ),
    (
        matching(objectSelector={"matchExpressions": [{"key": "app", "operator": "In"}]}),
        "spec.match.objectSelector.matchExpressions[0].values",
        "",
        "",
    ),
    (
        matching(namespaceSelector={"matchExpressions": [{"key": "app", "operator": "Exists", "values": ["x"]}]}),
        "spec.match.namespaceSelector.matchExpressions[0].values",
        "",
        "a list of 1",
    ),
    (
        with_key(secretKeyRef={"name": "keys", "key": "h1.pem"}),
        "spec.authorities[0].keys[0].secretKeyRef.namespace",
        "",
        "",
    ),
]


@pytest.mark.parametrize(("written", "field", "expected", "found"), RULES)
def test_a_rule_across_fields_names_the_field_at_fault(written: Any, field: str, expected: str, found: str) -> None:
    error = refusal(written)
    assert (error.field, error.reason.code) == (field, Code.INVALID_POLICY)
    assert expected in str(error)
    assert found in str(error)


def test_several_problems_are_told_together() -> None:
    text = str(refusal(spec(authority(), modee="Warn", match={"image": ["*/**"]})))
    assert "spec.modee: unknown field: expected mode (did you mean it?)" in text
    assert "spec.match.image: unknown field: expected images (did you mean it?)" in text
    assert "spec.match.images: is missing" in text


def test_only_the_first_eight_problems_are_told() -> None:
    text = str(refusal(spec(**{f"field{number}": 1 for number in range(20_000)})))
    assert text.count("unknown field") == 8
    assert text.endswith("; and 19992 more")


def test_a_field_name_without_end_is_cut() -> None:
    error = refusal(spec(**{"m" * 1_000_000: 1}))
    assert len(str(error)) < 2000


def test_bad_patterns_and_keys_are_told_beside_broken_rules() -> None:
    written = spec(
        {"name": "release", "keys": [{"pem": "no key"}]}, match={"images": ["nginx", "icr.io/**"]}, require=[{"name": "a"}]
    )
    text = str(refusal(written))
    assert "spec.require[0]: is wrong: expected exactly one of" in text
    assert "spec.match.images[0]: image pattern 'nginx'" in text
    assert "spec.authorities[0].keys[0].pem: is no public key" in text


def test_a_private_key_is_refused_without_being_repeated() -> None:
    private = signing_key().private_pem
    error = refusal(with_key(pem=private))
    assert (error.field, error.reason.code) == ("spec.authorities[0].keys[0].pem", Code.INVALID_KEY)
    assert private.splitlines()[1] not in str(error)


NAMESPACED = [
    (matching(namespaceSelector={}), "spec.match.namespaceSelector", Code.INVALID_POLICY),
    (
        with_key(secretKeyRef={"namespace": "other", "name": "keys", "key": "k"}),
        "spec.authorities[0].keys[0].secretKeyRef.namespace",
        Code.INVALID_POLICY,
    ),
    (
        spec({"name": "v", "openpgp": {"keyring": {"configMapKeyRef": {"namespace": "other", "name": "k", "key": "k"}}}}),
        "spec.authorities[0].openpgp.keyring.configMapKeyRef.namespace",
        Code.INVALID_POLICY,
    ),
]


@pytest.mark.parametrize(("written", "field", "code"), NAMESPACED)
def test_a_namespaced_policy_stays_in_its_namespace(written: Any, field: str, code: Code) -> None:
    error = refusal(written, namespace="shop")
    assert (error.field, error.reason.code) == (field, code)


def test_a_namespaced_policy_names_no_further_repositories() -> None:
    assert "only a ClusterTrustPolicy may name further repositories" in str(
        refusal(spec(signatureRepositories=["registry.example.com/x"]), namespace="shop")
    )


def test_a_namespaced_policy_that_keeps_to_itself_compiles() -> None:
    compiled = compile_one(policy(spec(), namespace="shop"), LIMITS)
    assert compiled.scope.namespace == "shop"
    assert not compiled.is_cluster


@pytest.mark.parametrize(
    ("alias", "uri"),
    [
        ("slsaprovenance", "https://slsa.dev/provenance/v0.2"),
        ("slsaprovenance1", "https://slsa.dev/provenance/v1"),
        ("spdxjson", "https://spdx.dev/Document"),
        ("cyclonedx", "https://cyclonedx.org/bom"),
        ("vuln", "https://cosign.sigstore.dev/attestation/vuln/v1"),
        ("https://example.com/review/v2", "https://example.com/review/v2"),
    ],
)
def test_short_names_of_predicate_types_are_cosigns(alias: str, uri: str) -> None:
    written = with_require({"name": "a", "attestation": {"predicateType": alias, "of": ["ci"]}})
    (requirement,) = compile_one(policy(written), LIMITS).requirements
    assert getattr(requirement.rule, "predicate_types", None) == (uri,)
