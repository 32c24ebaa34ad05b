import pytest

from controller.decision.quorum import matched_authorities, maximum_matching, roles_met

Signers = list[frozenset[str]]


def sets(*signers: str) -> Signers:
    return [frozenset(each) for each in signers]


@pytest.mark.parametrize(
    ("signers", "size"),
    [
        (sets(), 0),
        (sets("", ""), 0),
        (sets("a"), 1),
        (sets("a", "a"), 1),  # one key in two authorities counts once
        (sets("ab", "b"), 2),  # {A,B},{B} signed by A and B: taking B first would leave the second without
        (sets("b", "ab"), 2),
        (sets("ab", "ab", "ab"), 2),
        (sets("ab", "bc", "ca"), 3),
        (sets("abc", "", "a"), 2),
        (sets("a", "ab", "bc", "cd", "d"), 4),
    ],
)
def test_the_largest_matching_is_found(signers: Signers, size: int) -> None:
    assert maximum_matching(signers) == size
    matched = matched_authorities(signers)
    assert len(matched) == len(set(matched.values())) == size
    assert all(signer in signers[index] for index, signer in matched.items())


@pytest.mark.parametrize(
    ("signers", "roles", "per_role", "met"),
    [
        (sets("a", "b"), ["x", "y"], {}, True),
        (sets("a", "b"), ["x", "y"], {"x": 1, "y": 1}, True),
        (sets("a", "a"), ["x", "y"], {"x": 1}, True),
        (sets("a", "a"), ["x", "y"], {"x": 1, "y": 1}, False),  # one signer stands for one role
        (sets("ab", "a"), ["x", "y"], {"x": 1, "y": 1}, True),
        (sets("ab", "ab"), ["x", "x"], {"x": 2}, True),
        (sets("ab", "ab", "b"), ["x", "x", "y"], {"x": 2, "y": 1}, False),
        (sets("a"), ["x"], {"y": 1}, False),
        (sets(""), ["x"], {"x": 1}, False),
        (sets("a"), [""], {"x": 1}, False),
    ],
)
def test_roles_share_one_matching(
    signers: list[frozenset[str]], roles: list[str], per_role: dict[str, int], *, met: bool
) -> None:
    assert roles_met(signers, roles, per_role) is met


def test_a_long_chain_of_displacements_stays_within_the_stack() -> None:
    """64 authorities, each of which must give way to the next: the deepest case a policy can hold."""
    chain = [frozenset({str(index), str(index + 1)}) for index in range(63)] + [frozenset({"0"})]
    assert maximum_matching(chain) == 64
