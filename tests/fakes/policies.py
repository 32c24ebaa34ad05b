"""Policies as people write them, and the verdict they give on evidence without a registry: real keys, real judges."""

import base64
import json
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from controller.admission.subject import Workload
from controller.compile import compile_policies
from controller.compile.compiled import CompiledPolicy, Snapshot
from controller.decision.applicable import Applicable, applicable, excepted
from controller.decision.decide import decide
from controller.decision.findings import Answer, Findings, Piece, Platform
from controller.decision.report import Named, Report
from controller.errors import Code, Refused, Undecided
from controller.evidence import Evidence, Judge
from controller.policy.store import Document
from controller.reference import Digest, Reference
from controller.registry.discovery import Gap
from controller.settings import Limits, Unmatched
from tests.fakes.evidence import IMAGE
from tests.fakes.keys import signing_key

LIMITS: Final = Limits()
IMAGE_NAME: Final = "registry.example.com/shop/web"
POD: Final = Workload(namespace="shop", kind="Pod", name="web")


def key(pair: str = "release", /, **fields: Any) -> dict[str, Any]:
    """A key of an authority; the key pair is `signing_key(pair)`."""
    return {"pem": signing_key(pair).public_pem, **fields}


def authority(name: str = "release", *keys: str, **fields: Any) -> dict[str, Any]:
    """An authority that believes the key pairs of these names, by default the one of its own name."""
    return {"name": name, "keys": [key(each) for each in keys or (name,)], **fields}


def spec(*authorities: Mapping[str, Any], **fields: Any) -> dict[str, Any]:
    """A spec about the shop's images; without authorities, one called release."""
    return {
        "match": {"images": ["registry.example.com/shop/**"]},
        "authorities": list(authorities or (authority(),)),
        **fields,
    }


def without(whole: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in whole.items() if name not in names}


def policy(spec: Any, name: str = "corp", *, namespace: str = "", origin: str = "") -> Document:
    """A document; with a namespace it is a TrustPolicy."""
    metadata = {"name": name, **({"namespace": namespace} if namespace else {})}
    kind = "TrustPolicy" if namespace else "ClusterTrustPolicy"
    return Document({"apiVersion": "sigward.dev/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec}, origin)


def trust_root(name: str, document: Mapping[str, Any]) -> Document:
    """A TrustRoot of a trusted root."""
    metadata, spec = {"name": name}, {"inline": json.dumps(document)}
    return Document({"apiVersion": "sigward.dev/v1alpha1", "kind": "TrustRoot", "metadata": metadata, "spec": spec})


def config_map(name: str, namespace: str = "sec", **data: str) -> Document:
    """A ConfigMap with these texts."""
    metadata = {"name": name, "namespace": namespace}
    return Document({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data})


def secret(name: str, namespace: str = "sec", **data: str) -> Document:
    """A Secret with these texts."""
    metadata = {"name": name, "namespace": namespace}
    encoded = {key: base64.b64encode(text.encode()).decode() for key, text in data.items()}
    return Document({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": encoded})


def exception(name: str = "outage", *, made: float = -60.0, ends: float = 3600.0, **fields: Any) -> Document:
    """A TrustException for all policies about the shop's images; `made` and `ends` are seconds from now."""
    match = {"images": ["registry.example.com/shop/**"], "namespaces": ["shop"]}
    spec = {"match": match, "policies": ["*"], "requirements": ["*"], "expiresAt": at(ends), "reason": "registry is down"}
    metadata = {"name": name, "creationTimestamp": at(made)}
    value = {"apiVersion": "sigward.dev/v1alpha1", "kind": "TrustException", "metadata": metadata, "spec": spec | fields}
    return Document(value)


def at(seconds: float) -> str:
    """That many seconds from now, in RFC 3339."""
    return datetime.fromtimestamp(time.time() + seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def namespace(name: str = "shop", **labels: str) -> Document:
    return Document({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})


def snapshot(*documents: Document, limits: Limits = LIMITS) -> Snapshot:
    return compile_policies(documents, 1, limits)


def piece(evidence: Evidence, policies: Sequence[CompiledPolicy], digest: Digest = IMAGE) -> Piece:
    """The evidence with what every authority of the policies says of it."""
    judges = [judge for each in policies for judge in each.judges]
    return Piece(evidence, {judge.fingerprint: _answer(judge, evidence, digest) for judge in judges})


_answers: dict[tuple[str, str, Digest], Answer] = {}


def _answer(judge: Judge, evidence: Evidence, digest: Digest) -> Answer:
    """Judged once, as the pipeline does: properties ask the same again and again."""
    key = (judge.fingerprint, evidence.id, digest)
    if key not in _answers:
        try:
            _answers[key] = judge.judge(evidence, digest, time.time())
        except (Refused, Undecided) as error:
            _answers[key] = error
    return _answers[key]


def applied(current: Snapshot, image: str = IMAGE_NAME, workload: Workload = POD) -> Applicable:
    repository = Reference.parse(image).repository
    return excepted(applicable(current, workload, repository), current, workload, repository, time.time())


def verdict(
    documents: Document | Sequence[Document],
    *evidence: Evidence,
    image: str = IMAGE_NAME,
    workload: Workload = POD,
    digest: Digest = IMAGE,
    children: Sequence[Digest] = (),
    gaps: Sequence[Gap] = (),
    unreadable: Sequence[Gap] = (),
    platforms: Sequence[Platform] = (),
    unmatched: Unmatched = Unmatched.DENY,
) -> Report:
    """What the policies say of an image with exactly this evidence."""
    current = snapshot(*([documents] if isinstance(documents, Document) else documents))
    policies = applied(current, image, workload)
    pieces = tuple(piece(each, current.policies, digest) for each in evidence)
    reference = Reference.parse(image)
    found = (pieces, tuple(gaps), tuple(unreadable))
    findings = Findings(digest, tuple(children), *found, reference=reference, platforms=tuple(platforms))
    return decide(Named(image, "/spec/containers/0/image", "web"), reference, policies, findings, unmatched)


def reason_codes(report: Report) -> set[Code]:
    """Every code that the report gives for something other than a pass."""
    reasons = [report.reason, *(policy.reason for policy in report.policies)]
    reasons += [result.reason for policy in report.policies for result in policy.requirements]
    return {reason.code for reason in reasons if reason}
