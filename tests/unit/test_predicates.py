"""What verified statements say: packages, licences, bills of materials and provenance, read strictly and judged closed."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.decision.report import Verdict
from controller.errors import Code, Invalid, Reason, Refused
from controller.predicates import packages
from controller.predicates.licenses import Lists
from controller.predicates.packages import Denied, PackageUrl, compare
from controller.predicates.patterns import Pattern
from controller.predicates.provenance import ProvenanceRule, normal
from controller.predicates.sbom import SbomRule
from tests.fakes.evidence import attestation, bill, statement
from tests.fakes.keys import signing_key
from tests.fakes.policies import policy, reason_codes, spec, verdict

CYCLONEDX, SPDX = "https://cyclonedx.org/bom", "https://spdx.dev/Document"


def rule(
    *denied: str, allow: tuple[str, ...] = (), deny: tuple[str, ...] = (), supplier: bool = False, most: int = 100
) -> SbomRule:
    lists = Lists(tuple(name.lower() for name in allow), tuple(name.lower() for name in deny))
    return SbomRule(tuple(Denied.parse(text, "deny") for text in denied), lists, supplier, most)


def code(asked: SbomRule | ProvenanceRule, predicate: Any) -> Code | None:
    try:
        found = asked.problem(predicate)
    except Refused as error:
        return error.reason.code
    return found.code if found else None


@pytest.mark.parametrize(
    "package",
    [
        "pkg:npm/event-stream@3.3.6",
        "PKG:npm/event-stream@3.3.6",
        "pkg:NPM/event-stream@3.3.6",
        "pkg://npm/event-stream@3.3.6",
        "pkg:npm/Event-Stream@3.3.6",
        "pkg:npm/event%2Dstream@3.3.6",
        "pkg:npm/event-stream@3.3.6?arch=amd64#lib",
        "pkg:npm/event-stream@v3.3.6",
        "pkg:npm/event-stream@3.3.6+build.5",
        "pkg:npm/event-stream",  # whose version nobody says
        "pkg:npm/event-stream?x=@9",
    ],
)
def test_no_spelling_slips_a_denied_package_by(package: str) -> None:
    document = bill(SPDX, externalRefs=[{"referenceType": "purl", "referenceLocator": package}])
    assert code(rule("pkg:npm/event-stream@3.3.6"), document) is Code.PACKAGE_DENIED
    assert code(rule("pkg:npm/event-stream@3.3.6"), bill(CYCLONEDX, purl=package)) is Code.PACKAGE_DENIED


@pytest.mark.parametrize(
    "package", ["pkg:npm/event-stream@3.3.7", "pkg:npm/event-streams@3.3.6", "pkg:pypi/event-stream@3.3.6"]
)
def test_other_packages_are_others(package: str) -> None:
    assert code(rule("pkg:npm/event-stream@3.3.6"), bill(CYCLONEDX, purl=package)) is None


def test_scopes_names_of_pypi_and_wildcards() -> None:
    assert (
        packages.read("pkg:npm/%40acme/web@1.0")
        == packages.read("pkg:npm/@acme/web@1.0")
        == PackageUrl("npm", "@acme/web", "1.0")
    )
    assert packages.read("pkg:pypi/Zope.Interface@1") == packages.read("pkg:pypi/zope_interface@1")
    assert code(rule("pkg:npm/@acme/*"), bill(CYCLONEDX, purl="pkg:npm/%40acme/web@1")) is Code.PACKAGE_DENIED
    assert packages.read("npm/web@1") is None


ORDERED = [
    ("npm", ["1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-rc.1", "1.0.0", "1.0.1", "1.2.0", "1.10.0", "2.0.0-0", "2.0.0"]),
    ("pypi", ["1.0.dev1", "1.0a1", "1.0b2", "1.0rc1", "1.0", "1.0.post1", "1.1", "1.10"]),
    ("deb", ["1.0~rc1-1", "1.0-1", "1.0-2", "1.0-10", "1:0.5"]),
    ("maven", ["1.0-alpha-1", "1.0-beta-1", "1.0-m1", "1.0-rc1", "1.0-snapshot", "1.0", "1.0.1"]),
    ("golang", ["v0.0.0-20240101000000-abcdef", "v0.1.0", "v1.2.3-rc1", "v1.2.3"]),
]


@pytest.mark.parametrize(("kind", "versions"), ORDERED, ids=[kind for kind, _ in ORDERED])
def test_versions_are_ordered_as_their_ecosystem_does(kind: str, versions: list[str]) -> None:
    semantic = kind in {"npm", "golang"}
    for index, low in enumerate(versions):
        assert compare(low, low, semantic=semantic) == 0
        for high in versions[index + 1 :]:
            assert (compare(low, high, semantic=semantic), compare(high, low, semantic=semantic)) == (-1, 1), (low, high)


def test_ranges() -> None:
    asked = rule("pkg:pypi/django@>=4.0,<4.2.1")
    inside, outside = ("4.0", "4.1.9", "4.2", "4.2.1rc1"), ("3.9", "4.2.1", "4.2.10", "5.0")
    assert {code(asked, bill(CYCLONEDX, purl=f"pkg:pypi/Django@{one}")) for one in inside} == {Code.PACKAGE_DENIED}
    assert {code(asked, bill(CYCLONEDX, purl=f"pkg:pypi/Django@{one}")) for one in outside} == {None}
    for wrong in ("event-stream", "pkg:npm", "pkg:npm/x@<", "pkg:npm/x@>=1,2", ""):
        with pytest.raises(Invalid):
            Denied.parse(wrong, "spec.require[0].sbom.packages.deny[0]")


@settings(max_examples=200)
@given(one=st.text("0123456789.abr-~+:", max_size=12), other=st.text("0123456789.abr-~+:", max_size=12))
def test_the_order_is_one(one: str, other: str) -> None:
    assert compare(one, other) == -compare(other, one)
    assert compare(one, one) == 0


LICENCES = [
    ("MIT", ("MIT",), (), ""),
    ("mit", ("MIT",), (), ""),
    ("GPL-3.0-only", (), ("GPL-*",), "GPL-3.0-only"),
    ("MIT OR GPL-3.0-only", (), ("GPL-*",), ""),
    ("MIT AND GPL-3.0-only", (), ("GPL-*",), "GPL-3.0-only"),
    ("(MIT OR Apache-2.0) AND BSD-3-Clause", ("MIT", "BSD-*"), (), ""),
    ("MIT OR GPL-3.0-only AND AGPL-3.0-only", (), ("MIT", "AGPL-*"), "MIT"),
    ("GPL-2.0-only WITH Classpath-exception-2.0", (), ("GPL-2.0-only",), "GPL-2.0-only"),
    ("GPL-2.0-only WITH Classpath-exception-2.0", ("GPL-2.0-only WITH Classpath-exception-2.0",), (), ""),
    ("NOASSERTION", ("MIT",), (), "no licence"),
    ("", ("MIT",), (), "no licence"),
    ("NONE", (), ("GPL-*",), ""),
    ("The GPL-3.0-only, or so", (), ("GPL-*",), "The GPL-3.0-only, or so"),
    ("((MIT)", ("MIT",), (), "((MIT)"),
    ("(" * 5000, ("MIT",), (), "("),
]


@pytest.mark.parametrize(("text", "allow", "deny", "bad"), LICENCES, ids=[case[0][:40] for case in LICENCES])
def test_licences(text: str, allow: tuple[str, ...], deny: tuple[str, ...], bad: str) -> None:
    lists = Lists(tuple(name.lower() for name in allow), tuple(name.lower() for name in deny))
    assert lists.problem(text)[: len(bad) or None] == bad


@settings(max_examples=200)
@given(text=st.text("MITGPL-3.0 ()ANDORWH", max_size=60))
def test_no_text_breaks_the_reader_of_licences(text: str) -> None:
    Lists(("mit",), ("gpl*",)).problem(text)


MEMBERS = ["bomFormat", "specVersion", "components", "packages", "spdxVersion", "licenses", "purl", "name", "relationships"]


class TestDocuments:
    def test_each_version(self) -> None:
        for minor in range(2, 8):
            assert code(rule(), {**bill(CYCLONEDX), "specVersion": f"1.{minor}"}) is None
        for version in ("1.1", "2.0", None, 1.5):
            assert code(rule(), {**bill(CYCLONEDX), "specVersion": version}) is Code.MALFORMED
        assert code(rule(), {**bill(SPDX), "spdxVersion": "SPDX-2.2"}) is None
        assert code(rule(), {**bill(SPDX), "spdxVersion": "SPDX-2.1"}) is Code.MALFORMED

    def test_spdx_3_is_named(self) -> None:
        document = {"@context": "https://spdx.org/rdf/3.0.1/spdx-context.jsonld", "@graph": []}
        with pytest.raises(Refused, match="SPDX 3, which is not read"):
            rule().problem(document)

    def test_a_document_as_text(self) -> None:
        assert code(rule(), json.dumps(bill(SPDX))) is None
        assert code(rule(), "{") is Code.MALFORMED
        assert code(rule(), "[" * 100_000) is Code.MALFORMED

    def test_components_in_components(self) -> None:
        inner: dict[str, Any] = {"type": "library", "name": "x", "version": "1", "purl": "pkg:npm/x@1"}
        assert code(rule("pkg:npm/x"), bill(CYCLONEDX, components=[inner])) is Code.PACKAGE_DENIED
        for _ in range(200):
            inner = {**inner, "components": [inner]}
        assert code(rule(), {**bill(CYCLONEDX), "components": [inner]}) is Code.MALFORMED

    @pytest.mark.parametrize("kind", [CYCLONEDX, SPDX])
    def test_nothing_listed_and_nothing_named(self, kind: str) -> None:
        empty = {**bill(kind), "components": [], "packages": []}
        assert code(rule(), empty) is Code.SBOM_INCOMPLETE
        assert code(rule(), bill(kind, name="")) is Code.SBOM_INCOMPLETE
        unversioned: dict[str, Any] = (
            {"version": "", "purl": "pkg:npm/x"}
            if kind == CYCLONEDX
            else {"versionInfo": "", "externalRefs": [{"referenceType": "purl", "referenceLocator": "pkg:npm/x"}]}
        )
        assert code(rule(), bill(kind, **unversioned)) is Code.SBOM_INCOMPLETE

    def test_files_and_the_image_itself_are_no_packages(self) -> None:
        document = bill(CYCLONEDX)
        document["components"].append({"type": "file", "name": "/etc/passwd"})
        assert code(rule(supplier=False), document) is None
        about = bill(SPDX)
        about["packages"].append({"SPDXID": "SPDXRef-Image", "name": "image", "licenseConcluded": "NOASSERTION"})
        about["relationships"] = [
            {"spdxElementId": "SPDXRef-DOCUMENT", "relationshipType": "DESCRIBES", "relatedSpdxElement": "SPDXRef-Image"}
        ]
        about["packages"][0]["licenseConcluded"] = "MIT"
        assert code(rule(allow=("MIT",)), about) is None

    def test_suppliers(self) -> None:
        assert code(rule(supplier=True), bill(CYCLONEDX, supplier={"name": "OpenJS"})) is None
        assert code(rule(supplier=True), bill(SPDX, supplier="Organization: OpenJS")) is None
        for lacking in (bill(CYCLONEDX), bill(CYCLONEDX, supplier={"name": ""}), bill(SPDX, supplier="NOASSERTION")):
            assert code(rule(supplier=True), lacking) is Code.SUPPLIER_MISSING

    def test_cyclonedx_licences_in_each_form(self) -> None:
        for licences in (
            [{"expression": "GPL-3.0-only"}],
            [{"license": {"id": "GPL-3.0-only"}}],
            [{"license": {"name": "GPL-3.0-only"}}],
        ):
            assert code(rule(deny=("GPL-*",)), bill(CYCLONEDX, licenses=licences)) is Code.LICENSE_DENIED
        both = [{"license": {"id": "MIT"}}, {"license": {"id": "GPL-3.0-only"}}]
        assert code(rule(deny=("GPL-*",)), bill(CYCLONEDX, licenses=both)) is Code.LICENSE_DENIED
        assert code(rule(allow=("MIT",)), bill(CYCLONEDX)) is Code.LICENSE_DENIED

    def test_too_many(self) -> None:
        document = bill(CYCLONEDX)
        document["components"] *= 101
        assert code(rule(most=100), document) is Code.LIMIT_EXCEEDED

    @settings(max_examples=300)
    @given(
        document=st.recursive(
            st.one_of(
                st.none(),
                st.booleans(),
                st.integers(),
                st.text(max_size=4),
                st.sampled_from(["1.6", "SPDX-2.3", "CycloneDX"]),
            ),
            lambda inner: st.one_of(
                st.lists(inner, max_size=3),
                st.dictionaries(
                    st.sampled_from(
                        [
                            "bomFormat",
                            "specVersion",
                            "components",
                            "packages",
                            "spdxVersion",
                            "licenses",
                            "purl",
                            "name",
                            "relationships",
                        ]
                    ),
                    inner,
                    max_size=5,
                ),
            ),
            max_leaves=12,
        )
    )
    def test_no_document_is_more_than_refused(self, document: Any) -> None:
        code(rule("pkg:npm/x", allow=("MIT",), supplier=True), document)


BUILDER = "https://github.com/acme/builder/.github/workflows/build.yml@refs/tags/v1"


def v1(external: Any, *, dependencies: Any = (), builder: Any = BUILDER) -> dict[str, Any]:
    definition = {
        "buildType": "https://example.com/v1",
        "externalParameters": external,
        "resolvedDependencies": list(dependencies),
    }
    return {"buildDefinition": definition, "runDetails": {"builder": {"id": builder}}}


def v02(uri: str) -> dict[str, Any]:
    return {
        "builder": {"id": BUILDER},
        "buildType": "https://example.com/v0.2",
        "invocation": {"configSource": {"uri": uri}},
    }


SHOP, MAIN = "https://github.com/acme/shop", "refs/heads/main"
GOOD = {"workflow": {"repository": SHOP, "ref": MAIN}}
FROM_SHOP = ProvenanceRule((Pattern("https://github.com/**"),), SHOP, (Pattern("refs/heads/*"),))


@pytest.mark.parametrize(
    "predicate",
    [
        v1({"workflow": {"repository": SHOP, "ref": MAIN}}),
        v1({"workflow": {"repository": f"git+{SHOP}.git/", "ref": MAIN}}),
        v1({"source": f"git+{SHOP}@{MAIN}"}),
        v1({"source": {"uri": f"git+https://GitHub.com/acme/shop@{MAIN}"}}),
        v1({"buildConfigSource": {"repository": SHOP, "ref": MAIN}}),
        v1({}, dependencies=[{"uri": f"git+{SHOP}@{MAIN}"}, {"uri": "pkg:docker/base@1"}]),
        v02(f"git+{SHOP}@{MAIN}"),
    ],
)
def test_where_builders_name_the_source(predicate: Any) -> None:
    assert code(FROM_SHOP, predicate) is None


@pytest.mark.parametrize(
    ("predicate", "why"),
    [
        (v1({"workflow": {"repository": f"{SHOP}2", "ref": MAIN}}), Code.WRONG_SOURCE),
        (v1({"workflow": {"repository": "https://github.com/Acme/shop", "ref": MAIN}}), Code.WRONG_SOURCE),
        (v1({"workflow": {"repository": SHOP, "ref": "refs/heads/a/b"}}), Code.WRONG_SOURCE),
        (v1({"workflow": {"repository": SHOP}}), Code.WRONG_SOURCE),
        (v1({}), Code.WRONG_SOURCE),
        (
            v1({}, dependencies=[{"uri": f"git+{SHOP}@{MAIN}"}, {"uri": "git+https://evil.example/x@main"}]),
            Code.WRONG_SOURCE,
        ),
        (
            v1({"workflow": {"repository": SHOP, "ref": MAIN}}, builder="https://evil.example/github.com/x"),
            Code.WRONG_BUILDER,
        ),
        (v1({"workflow": {"repository": SHOP, "ref": MAIN}}, builder=""), Code.MALFORMED),
        (v1({"workflow": {"repository": SHOP, "ref": MAIN}}, builder=["https://github.com/x"]), Code.MALFORMED),
        (v02(f"git+https://evil.example/github.com/acme/shop@{MAIN}"), Code.WRONG_SOURCE),
        (v02(f"git+https://evil.example@github.com/acme/shop@{MAIN}"), Code.WRONG_SOURCE),
        ({}, Code.MALFORMED),
        ([], Code.MALFORMED),
        ("x", Code.MALFORMED),
    ],
)
def test_another_source_is_refused(predicate: Any, why: Code) -> None:
    assert code(FROM_SHOP, predicate) is why


def test_levels_follow_from_the_builder_alone() -> None:
    generator = "https://github.com/slsa-framework/slsa-github-generator/.github/workflows/container.yml@refs/tags/v2.1.0"
    asked = ProvenanceRule((Pattern("**"),), level=3)
    assert code(asked, v1({}, builder=generator)) is None
    for other in (
        BUILDER,
        generator.replace("slsa-framework/", "evil/"),
        f"{generator}/../x",
        "https://github.com/actions/runner/github-hosted",
    ):
        assert code(asked, {**v1({}, builder=other), "slsaLevel": 3}) is Code.LEVEL_NOT_MET, other


def test_patterns_are_whole() -> None:
    assert Pattern("https://a/*").matches("https://a/b")
    assert not Pattern("https://a/*").matches("https://a/b/c")
    assert Pattern("https://a/**").matches("https://a/b/c")
    assert not Pattern("https://a/**").matches("xhttps://a/b")
    assert not Pattern("**").matches("")
    assert normal("git+https://X.example/A.git/") == "https://x.example/A"


def test_a_failing_statement_is_softened_by_on_failure_alone() -> None:
    document = statement(SPDX, bill(SPDX))
    asked = {"name": "bill", "sbom": {"packages": {"deny": ["pkg:npm/express"]}}}
    found = attestation(document, signing_key())
    for missing, failure, expected in (
        ("Ignore", "Deny", Verdict.DENY),
        ("Deny", "Warn", Verdict.WARN),
        ("Warn", "Ignore", Verdict.ALLOW),
    ):
        report = verdict(policy(spec(require=[{**asked, "onMissing": missing, "onFailure": failure}])), found)
        assert report.verdict is expected
        assert Code.PACKAGE_DENIED in reason_codes(report)


def with_package(purl: str) -> Any:
    refs = [{"referenceType": "purl", "referenceLocator": purl}]
    return attestation(statement(SPDX, bill(SPDX, externalRefs=refs)), signing_key())


def test_one_good_statement_suffices() -> None:
    good, bad = with_package("pkg:npm/a@1"), with_package("pkg:npm/b@1")
    asked = policy(spec(require=[{"name": "bill", "sbom": {"packages": {"deny": ["pkg:npm/b"]}}}]))
    assert verdict(asked, good).verdict is Verdict.ALLOW
    assert verdict(asked, bad).verdict is Verdict.DENY
    assert verdict(asked, bad, good).verdict is Verdict.ALLOW


def test_newest_needs_a_proven_time_of_each() -> None:
    asked = policy(spec(require=[{"name": "a", "attestation": {"predicateType": "slsaprovenance1", "select": "Newest"}}]))
    report = verdict(asked, attestation(statement("https://slsa.dev/provenance/v1", {}), signing_key()))
    assert (report.verdict, reason_codes(report)) == (Verdict.DENY, {Code.TIME_NOT_PROVEN})


def test_the_reason_names_what_was_found() -> None:
    found = rule("pkg:npm/express@<5").problem(bill(CYCLONEDX))
    assert found == Reason(
        Code.PACKAGE_DENIED, "a denied package is in the image", "none of pkg:npm/express@<5", "pkg:npm/express@4.21.2"
    )
