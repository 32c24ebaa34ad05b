"""Attack 5: a certificate of the path that had expired, or was not yet valid, believed with the log off (CVE-2026-24122)."""

import pytest

from controller.errors import Code, Reason, Refused
from tests.fakes.authorities import CODE_SIGNING, T0, CertificateAuthority, Wanted
from tests.fakes.evidence import IMAGE
from tests.fakes.sigstore import NOW, PrivateSigstore, evidence, written


def sigstore_with(intermediate: Wanted) -> PrivateSigstore:
    sigstore = PrivateSigstore()
    sigstore.ca = CertificateAuthority("short", log=sigstore.ct, intermediate=intermediate)
    return sigstore


def intermediate(start: float, end: float) -> Wanted:
    return Wanted("short intermediate", start=start, end=end, path_length=0, usages=(CODE_SIGNING,))


def refusal(sigstore: PrivateSigstore, *, stamps: int, log_required: bool, now: float) -> Reason:
    bundle = sigstore.sign_statement(["dsse"] if log_required else [], stamps=stamps)
    with pytest.raises(Refused) as caught:
        sigstore.authority(log_required=log_required).judge(evidence(bundle), IMAGE, now)
    return caught.value.reason


@pytest.mark.parametrize(("start", "end"), [(T0 - 1000, T0 - 1), (T0 + 2, T0 + 1000)])
@pytest.mark.parametrize("log_required", [False, True])
def test_not_valid_when_it_was_signed(start: float, end: float, log_required: bool) -> None:  # noqa: FBT001 - a parameter
    reason = refusal(sigstore_with(intermediate(start, end)), stamps=1, log_required=log_required, now=NOW)
    assert reason.code is Code.OUTSIDE_VALIDITY
    assert "CN=short intermediate" in reason.message
    assert written(T0 + 1) in reason.found


def test_valid_in_the_very_second() -> None:
    sigstore = sigstore_with(intermediate(T0 + 1, T0 + 1))
    bundle = sigstore.sign_statement([], stamps=1)
    (fact,) = sigstore.authority(log_required=False).judge(evidence(bundle), IMAGE, NOW)
    assert fact.digest == IMAGE


def test_without_any_proven_time_it_is_now_that_counts() -> None:
    sigstore = sigstore_with(intermediate(T0 - 1000, T0 + 300))
    judge = sigstore.authority(log_required=False)
    piece = evidence(sigstore.sign_statement([]))
    (fact,) = judge.judge(piece, IMAGE, T0 + 300)
    assert fact.valid_until == T0 + 300, "the verdict holds no longer than what it stands on"
    for now in (T0 + 301, T0 - 1):
        with pytest.raises(Refused) as caught:
            judge.judge(piece, IMAGE, now)
        assert caught.value.reason.code is Code.TIME_NOT_PROVEN


def test_the_trusted_root_s_own_window_counts_beside_the_certificates() -> None:
    sigstore = PrivateSigstore()
    bundle = sigstore.sign_statement([], stamps=1)
    for window, verdict in (
        ({"start": written(T0 + 1), "end": written(T0 + 1)}, None),
        ({"start": written(T0 + 2)}, Code.OUTSIDE_VALIDITY),
        ({"start": written(T0 - 5), "end": written(T0)}, Code.OUTSIDE_VALIDITY),
    ):
        document = sigstore.document()
        document["certificateAuthorities"][0]["validFor"] = window
        judge = sigstore.authority(log_required=False, document=document)
        if verdict is None:
            assert judge.judge(evidence(bundle), IMAGE, NOW)
            continue
        with pytest.raises(Refused) as caught:
            judge.judge(evidence(bundle), IMAGE, NOW)
        assert caught.value.reason.code is verdict
        assert "certificate authority https://fulcio.example.com" in caught.value.reason.message
