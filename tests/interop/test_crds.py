"""The API server's own code on the definitions of the resources, and on objects of them.

`crdcheck` (tests/tools/crdcheck) creates the definitions and the objects as an API server would: strict decoding, structural
schemas, the cost of CEL rules, pruning, defaulting and the validation of objects.
"""

import copy
import itertools
import json
import re
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from controller.errors import Code
from controller.policy import rules, trustroot
from controller.policy.crds import DEFINITIONS
from controller.policy.model import TrustPolicyResource
from controller.policy.status import PolicyStatus
from controller.policy.store import read_directory
from tests.fakes.policies import LIMITS, authority, key, policy, spec, without
from tests.interop import tools
from tests.interop.conftest import missing
from tests.unit.policies_written import signed, with_key, with_require
from tests.unit.test_compile import BROKEN
from tests.unit.test_policy_fields import CASES
from tests.unit.test_policy_later import LATER
from tests.unit.test_policy_messages import NAMESPACED, RULES, SHAPES

pytestmark = pytest.mark.interop

ROOT = Path(__file__).parents[2]
REF = {"namespace": "sec", "name": "keys", "key": "h1.pem"}
DIGEST = "sha256:" + "a" * 64
IDENTITY = {"issuer": {"exact": "https://i.example"}, "subject": {"glob": "a/*"}}
KEYLESS: dict[str, Any] = {"trustRoot": "public-good", "identities": [IDENTITY]}
WHOLE = spec(
    authority("release", role="dev"),
    {"name": "windows", "keys": [{"name": "h1", "configMapKeyRef": REF, "notBefore": "2026-01-01T00:00:00Z"}]},
    {"name": "ci", "keyless": {**KEYLESS, "identities": [{**IDENTITY, "claims": {"a": "b"}}]}},
    {
        "name": "pki",
        "x509": {"stores": {"ca": {"pem": "x"}, "tsa": {"secretKeyRef": REF}}, "identities": ["C=DE, ST=B, O=A"]},
    },
    {"name": "vendor", "openpgp": {"keyring": {"armored": "x"}}},
    mode="Enforce",
    platforms="Each",
    match={
        "images": ["registry.example.com/**"],
        "excludeImages": ["registry.example.com/x"],
        "namespaceSelector": {
            "matchLabels": {"a/b": "c"},
            "matchExpressions": [{"key": "t", "operator": "In", "values": ["x"]}],
        },
        "objectSelector": {"matchExpressions": [{"key": "t", "operator": "Exists"}]},
        "matchConditions": [{"name": "prod", "expression": "true"}],
    },
    signatureRepositories=["registry.example.com/signatures"],
    require=[
        {"name": "signed", "signature": {"of": ["release", "ci", "vendor"], "threshold": 2, "perRole": {"dev": 1}}},
        {"name": "bill", "mode": "Warn", "onMissing": "Warn", "sbom": {"of": ["ci"], "formats": ["SPDX"], "maxAge": "720h"}},
        {"name": "built", "onFailure": "Ignore", "attestation": {"predicateType": "slsaprovenance1", "of": ["ci"]}},
        {
            "name": "slsa",
            "provenance": {"of": ["ci"], "builders": ["https://g/**"], "source": {"repository": "https://g/a"}},
        },
        {"name": "cves", "vulnerabilities": {"of": ["pki"], "failOn": "High", "maxAge": "1h", "vex": {"of": ["release"]}}},
        {"name": "base", "digests": [DIGEST]},
        {"name": "none", "unsafeAllowUnsigned": {"reason": "because"}},
    ],
    revoked={"digests": [DIGEST], "keys": ["b" * 64], "certificates": ["c" * 64]},
)
VALUES: Sequence[Any] = (
    *(None, True, 0, 1, 2, 65, -1, 1.5, "", "x", "Enforce", "Warn", "Audit", "Deny", "Ignore", "*/**", "release", "vendor"),
    *("720h", "2026-01-01T00:00:00Z", "2026-01-01t00:00:00.5z", DIGEST, [], ["release"], ["release", "release"], ["x"]),
    *(
        {},
        {"name": "x"},
        {"pem": "x"},
        {"of": ["vendor"]},
        {"dev": 2},
        {"secretKeyRef": REF},
        [{"name": "x", "digests": [DIGEST]}],
    ),
)


@dataclass(frozen=True)
class Answer:
    """What became of an object: why it was refused, and what would be stored."""

    errors: list[str]
    stored: dict[str, Any]


class Server:
    """The tool, with the definitions in a folder."""

    def __init__(self, program: Path, folder: Path) -> None:
        self._program, self._folder = program, folder

    def create(self, objects: Sequence[Any], *definitions: Path) -> tuple[dict[str, list[str]], list[Answer]]:
        """The errors of each definition, and the answer to each object."""
        files = definitions or tuple(self._folder / definition.file_name for definition in DEFINITIONS)
        run = subprocess.run(
            [self._program, *files], input=json.dumps(objects), capture_output=True, text=True, timeout=60, check=False
        )
        assert run.returncode == 0, run.stderr
        answer = json.loads(run.stdout)
        return answer["definitions"], [Answer(each["errors"], each["stored"]) for each in answer["objects"]]

    def specs(self, *written: Any, namespace: str = "") -> list[Answer]:
        return self.create([policy(each, namespace=namespace).value for each in written])[1]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Server:
    folder = tmp_path_factory.mktemp("crds")
    for definition in DEFINITIONS:
        (folder / definition.file_name).write_text(definition.text(), encoding="utf-8")
    try:
        return Server(tools.find("crdcheck"), folder)
    except tools.ToolMissingError as error:
        missing(str(error))
        raise  # never: `missing` ends the test


def model_accepts(value: Any) -> bool:
    """Whether shapes and rules across fields hold; what nothing judges yet and what a PEM holds is not asked."""
    try:
        resource = TrustPolicyResource.model_validate(value)
    except ValidationError:
        return False
    return all(problem.code is Code.NOT_SUPPORTED_YET for problem in rules.check(resource))


def accepted_specs() -> Iterator[Any]:
    yield spec()
    yield WHOLE
    yield spec(match={"images": ["*/**"], "namespaceSelector": None, "objectSelector": None}, require=None)
    yield spec({**authority(), "role": None, "keyless": None, "x509": None, "openpgp": None, "trustRoot": None})
    yield {"match": {"images": ["*/**"]}, "revoked": {"digests": [DIGEST]}}
    yield {"match": {"images": ["*/**"]}, "require": [{"name": "base", "digests": [DIGEST]}]}
    yield from (written for case in CASES.values() for written in (case.before, case.after))
    yield from (written for written, _ in LATER)


def test_an_api_server_accepts_the_definitions(server: Server) -> None:
    assert server.create([])[0] == {f"{definition.plural}.sigward.dev": [] for definition in DEFINITIONS}


@pytest.mark.parametrize("definition", DEFINITIONS, ids=lambda definition: definition.kind)
def test_the_cost_of_the_rules_leaves_room_for_other_estimates(server: Server, definition: Any, tmp_path: Path) -> None:
    """Releases differ in what they estimate: with every bound a fifth wider the rules still fit the budget."""
    wider = re.sub(
        r"(maxItems|maxProperties|maxLength): (\d+)",
        lambda found: f"{found[1]}: {int(found[2]) * 6 // 5}",
        definition.text(),
    )
    file = tmp_path / definition.file_name
    file.write_text(wider, encoding="utf-8")
    assert server.create([], file)[0] == {f"{definition.plural}.sigward.dev": []}


def test_a_rule_that_may_cost_too_much_is_noticed(server: Server, tmp_path: Path) -> None:
    """The check above can fail: without its bounds the same definition is refused."""
    file = tmp_path / "unbounded.yaml"
    file.write_text(re.sub(r"\n *maxItems: \d+", "", DEFINITIONS[0].text()), encoding="utf-8")
    errors = server.create([], file)[0]["clustertrustpolicies.sigward.dev"]
    assert any("exceeds budget" in error for error in errors)


def test_what_the_models_accept_is_accepted(server: Server) -> None:
    written = list(accepted_specs())
    assert [each for each in written if not model_accepts(policy(each).value)] == []
    assert [
        (each, answer.errors) for each, answer in zip(written, server.specs(*written), strict=True) if answer.errors
    ] == []


def test_the_examples_are_accepted(server: Server) -> None:
    examples = sorted((ROOT / "policies").glob("*/policy.yaml"))
    objects = [dict(document.value) for path in examples for document in read_directory(path, LIMITS).documents]
    assert len(objects) >= len(examples) > 0
    assert [answer.errors for answer in server.create(objects)[1] if answer.errors] == []


ELSEWHERE = ("predicateType",)
"""What the models read in a text of a valid shape."""
TOO_COSTLY = [signed(of=["ci"], perRole={"dev": 1})]
"""Roles among `of`: one evaluation may not cost so much, so only our own validation asks."""


def test_rules_across_fields_hold_in_the_api_server_and_name_the_same_place(server: Server) -> None:
    mine = [(written, field) for written, field, *_ in RULES if written not in TOO_COSTLY]
    cases = [(written, field) for written, field in mine if not field.endswith(ELSEWHERE)]
    assert len(mine) == len(RULES) - len(TOO_COSTLY)
    answers = server.specs(*(written for written, _ in cases))
    for (_, field), answer in zip(cases, answers, strict=True):
        assert answer.errors, field
        places = [error.partition(": ")[0] for error in answer.errors]
        assert any(field.startswith(place) and place != "spec" for place in places), (field, answer.errors)


MORE = [
    (
        spec({"name": "a", "keys": [key()], "x509": WHOLE["authorities"][3]["x509"]}),
        "exactly one of keys, keyless, x509, openpgp",
    ),
    (with_key(pem="x", secretKeyRef=REF), "exactly one of pem, secretKeyRef, configMapKeyRef"),
    (with_key(pem="x", notBefore="2026-02-01T00:00:00Z", notAfter="2026-01-01T00:00:00Z"), "lies before notBefore"),
    (spec({"name": "v", "openpgp": {"keyring": {}}}), "exactly one of armored, secretKeyRef, configMapKeyRef"),
    (spec({"name": "v", "openpgp": {"keyring": {"armored": "x"}}, "transparencyLog": "Optional"}), "no log holds OpenPGP"),
    (spec({"name": "c", "keyless": KEYLESS, "trustRoot": "github"}), "keyless names its own"),
    (spec(authority(transparencyLog="Required")), "trustRoot must say whose log"),
    (
        spec({"name": "c", "keyless": {**KEYLESS, "identities": [{"issuer": {}, "subject": {"exact": "a"}}]}}),
        "exactly one of exact, glob, regex",
    ),
    (spec({"name": "p", "x509": {"stores": {"tsa": {"pem": "x"}}, "identities": ["O=A"]}}), "ca or signingAuthority"),
    (spec({"name": "p", "x509": {"stores": {"ca": {}}, "identities": ["O=A"]}}), "exactly one of pem"),
    (spec(require=[{"name": "s", "signature": {"threshold": 2}}]), "can never be met"),
    (signed(threshold=1, perRole={"dev": 3}), "can never be met"),
    (
        spec(
            {"name": "v", "openpgp": {"keyring": {"armored": "x"}}},
            require=[{"name": "b", "sbom": {"of": ["v"]}}],
        ),
        "openpgp does not",
    ),
    (
        with_require({"name": "v", "vulnerabilities": {"of": ["ci"], "vex": {"of": ["qa"]}}}),
        "every name in the `of` of vex",
    ),
    ({**without(spec(), "authorities"), "require": [{"name": "s", "signature": {"of": ["x"]}}]}, "every name in the `of`"),
    ({**without(spec(), "authorities"), "require": [{"name": "s", "signature": {}}]}, "may be left out only with one"),
    (
        spec({"name": "v", "openpgp": {"keyring": {"secretKeyRef": without(REF, "namespace")}}}),
        "namespace is missing",
    ),
]


def test_unions_and_further_rules_hold_in_both(server: Server) -> None:
    for (written, message), answer in zip(MORE, server.specs(*(written for written, _ in MORE)), strict=True):
        assert not model_accepts(policy(written).value), message
        assert any(message in error for error in answer.errors), (message, answer.errors)


def test_a_namespaced_policy_may_not_reach_out(server: Server) -> None:
    selecting, repositories = server.specs(
        NAMESPACED[0][0], spec(signatureRepositories=["registry.example.com/x"]), namespace="shop"
    )
    assert any("only a ClusterTrustPolicy may select namespaces" in error for error in selecting.errors)
    assert any("only a ClusterTrustPolicy may name further repositories" in error for error in repositories.errors)
    own = with_key(secretKeyRef={"name": "keys", "key": "k"})
    assert server.specs(spec(), own, without(WHOLE, "signatureRepositories", "match") | spec(), namespace="shop")[:2] == [
        Answer([], answer.stored) for answer in server.specs(spec(), own, namespace="shop")
    ]


LEFT_TO_US = ("signature.annotations.env",)
"""What is wrong in these reaches our own validation, though it is no unknown field."""


def test_no_wrong_shape_passes_both_the_api_server_and_us(server: Server) -> None:
    answers = server.specs(*(written for written, *_ in SHAPES))
    for (written, field, *_), answer in zip(SHAPES, answers, strict=True):
        if written == spec(mode=None):
            assert answer.stored["spec"]["mode"] == "Enforce"  # null is an absent field to an API server
        elif _unknown(written) or field.endswith(LEFT_TO_US):
            assert not model_accepts(answer.stored), field
        else:
            assert answer.errors, field


def _unknown(written: Any) -> bool:
    try:
        TrustPolicyResource.model_validate(policy(written).value)
    except ValidationError as error:
        return any(detail["type"] == "extra_forbidden" for detail in error.errors())
    return False


def test_a_misspelt_restriction_reaches_our_own_validation_at_every_level(server: Server) -> None:
    places = [place for place in _places(WHOLE) if isinstance(_at(WHOLE, place), dict) and not _is_map(place)]
    for place, answer in zip(places, server.specs(*(_changed(place, add=True) for place in places)), strict=True):
        assert answer.errors == [], place
        assert _at(answer.stored["spec"], place)["denny"] == ["x"], place
        assert not model_accepts(answer.stored), place
    (outside,) = server.create([{**policy(spec()).value, "require": [{"name": "slipped out"}]}])[1]
    assert outside.errors == []
    assert outside.stored["require"] == [{"name": "slipped out"}]
    assert not model_accepts(outside.stored)


def test_whatever_is_written_anywhere_the_api_server_is_never_stricter_than_the_models(server: Server) -> None:
    written = [_changed(place, value) for place, value in itertools.product(_places(WHOLE), VALUES) if place]
    written += [_changed(place, remove=True) for place in _places(WHOLE) if place]
    good = [each for each in written if model_accepts(policy(each).value)]
    assert len(good) > len(written) // 20  # enough to say something
    answers = server.specs(*good)
    assert [(answer.errors, answer.stored) for answer in answers if answer.errors] == []
    assert all(model_accepts(answer.stored) for answer in answers)  # defaults change no meaning into a refusal


def test_the_largest_policy_stays_within_the_cost_of_one_request(server: Server) -> None:
    names = [f"{number:02}-{'a' * 60}" for number in range(64)]
    authorities = [{"name": name, "role": name, "keys": [{"name": key, "pem": "x"} for key in names[:32]]} for name in names]
    roles = dict.fromkeys(names[:16], 1)
    signature = {"of": names, "threshold": 64, "perRole": roles}
    statement = {"predicateType": "vuln", "of": names}
    require = [
        *({"name": name, "signature": signature} for name in names[:32]),
        *({"name": name, "attestation": statement} for name in names[32:]),
    ]
    (answer,) = server.specs(spec(*authorities, require=require))
    assert answer.errors == []


def test_times_are_what_both_read(server: Server) -> None:
    windows = [
        ("2026-01-01T00:00:00.123456789Z", "2027-01-01T00:00:00+02:00"),
        ("0001-01-01T00:00:00Z", "9999-12-31T23:59:59.9Z"),
        ("2026-01-01T00:00:00+23:59", "2027-01-01T00:00:00-23:59"),
        ("2026-01-01t00:00:00z", "2027-01-01T00:00:00Z"),  # RFC 3339 has small letters, Go and so Kubernetes has not
        ("2026-01-01T24:00:00Z", "2027-01-01T00:00:00Z"),
        ("2026-01-01", "2027-01-01"),
    ]
    written = [with_key(pem="x", notBefore=start, notAfter=end) for start, end in windows]
    expected = [True, True, True, False, False, False]
    assert [model_accepts(policy(each).value) for each in written] == expected
    assert [not answer.errors for answer in server.specs(*written)] == expected


def test_a_broken_policy_in_the_cluster_is_one_that_we_still_read(server: Server) -> None:
    """What an API server stores, its own errors apart, is what was written: nothing of a restriction is lost."""
    for (written, *_), answer in zip(BROKEN, server.specs(*(written for written, *_ in BROKEN)), strict=True):
        if answer.errors or not isinstance(written, dict):
            continue
        kept = answer.stored["spec"]
        assert {name: kept.get(name) for name in written} == written


def test_the_operators_status_is_accepted_and_a_foreign_one_pruned(server: Server) -> None:
    condition = {
        "type": "Ready",
        "status": "True",
        "observedGeneration": 3,
        "lastTransitionTime": "2026-01-01T00:00:00Z",
        "reason": "InForce",
        "message": "",
    }
    status = {
        "conditions": [condition],
        "authorities": [{"name": "release", "keys": [{"sha256": "a" * 64, "notAfter": "2027-01-01T00:00:00Z"}]}],
        "images": {"passing": 40, "failing": 2},
    }
    PolicyStatus.model_validate(status)
    twice = {**status, "conditions": [condition, condition]}
    loose = {**status, "conditions": [without(condition, "reason")]}
    values = [{**policy(spec()).value, "status": each} for each in ({**status, "x": 1}, twice, loose)]
    good, doubled, incomplete = server.create(values)[1]
    assert (good.errors, good.stored["status"]) == ([], status)
    assert any(error.startswith("status.conditions[1]: Duplicate value") for error in doubled.errors)
    assert any(error.startswith("status.conditions[0].reason: Required value") for error in incomplete.errors)


def test_trust_roots_are_held_to_their_rules(server: Server) -> None:
    cases = [
        ("private", {"inline": "{}"}, ""),
        ("private", {"configMapKeyRef": REF}, ""),
        ("private", {}, "exactly one of inline, configMapKeyRef, tuf"),
        ("private", {"inline": "{}", "tuf": {"url": "https://tuf.example", "root": "{}"}}, "exactly one of inline"),
        ("private", {"configMapKeyRef": without(REF, "namespace")}, "namespace is missing"),
        ("github", {"inline": "{}"}, "is the name of a built-in trust root"),
    ]
    objects = [
        {"apiVersion": "sigward.dev/v1alpha1", "kind": "TrustRoot", "metadata": {"name": name}, "spec": written}
        for name, written, _ in cases
    ]
    for (*_, message), value, answer in zip(cases, objects, server.create(objects)[1], strict=True):
        assert any(message in error for error in answer.errors) if message else answer.errors == []
        found = list(trustroot.check(trustroot.TrustRootResource.model_validate(value)))
        ours = [problem for problem in found if problem.code is not Code.NOT_SUPPORTED_YET]
        assert bool(ours) is bool(message) or "namespace is missing" in message


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, item in items for place in _places(item, (*path, key)))]


def _at(value: Any, place: tuple[Any, ...]) -> Any:
    for step in place:
        value = value[step]
    return value


def _is_map(place: tuple[Any, ...]) -> bool:
    return bool(place) and place[-1] in {"matchLabels", "claims", "perRole", "annotations"}


def _changed(place: tuple[Any, ...], value: Any = None, *, add: bool = False, remove: bool = False) -> Any:
    whole = copy.deepcopy(WHOLE)
    if add:
        _at(whole, place)["denny"] = ["x"]
    elif remove:
        del _at(whole, place[:-1])[place[-1]]
    else:
        _at(whole, place[:-1])[place[-1]] = copy.deepcopy(value)
    return whole
