"""Quorum against the definition, written as plainly as it can be: try every assignment."""

from itertools import combinations, permutations
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from controller.decision.quorum import matched_authorities, maximum_matching, roles_met

SIGNERS = "abcde"
ROLES = ["", "x", "y", "z"]
Question = tuple[list[frozenset[str]], list[str], int, dict[str, int]]


def brute_force(signers: list[frozenset[str]], roles: list[str], threshold: int, per_role: dict[str, int]) -> bool:
    """Whether some set of authorities, each with a signer of its own, is large enough and has its roles."""
    for size in range(len(signers) + 1):
        for chosen in combinations(range(len(signers)), size):
            counts = {role: sum(roles[index] == role for index in chosen) for role in per_role}
            if size < threshold or any(counts[role] < number for role, number in per_role.items()):
                continue
            for order in permutations(SIGNERS, size):
                if all(signer in signers[index] for index, signer in zip(chosen, order, strict=True)):
                    return True
    return False


@st.composite
def questions(draw: st.DrawFn) -> Question:
    size = draw(st.integers(1, 4))
    signers = draw(st.lists(st.frozensets(st.sampled_from(SIGNERS), max_size=3), min_size=size, max_size=size))
    roles = draw(st.lists(st.sampled_from(ROLES), min_size=size, max_size=size))
    per_role = draw(st.dictionaries(st.sampled_from(ROLES[1:]), st.integers(1, 2), max_size=2))
    return signers, roles, draw(st.integers(1, size)), per_role


@settings(max_examples=250, deadline=None)
@given(questions())
def test_quorum_is_what_trying_everything_finds(
    question: tuple[list[frozenset[str]], list[str], int, dict[str, int]],
) -> None:
    signers, roles, threshold, per_role = question
    found = maximum_matching(signers) >= threshold and roles_met(signers, roles, per_role)
    assert found == brute_force(signers, roles, threshold, per_role)
    assert len(matched_authorities(signers)) == maximum_matching(signers)


@settings(max_examples=100, deadline=None)
@given(questions(), st.randoms(use_true_random=False))
def test_order_of_authorities_changes_nothing(question: Question, random: Random) -> None:
    signers, roles, _, per_role = question
    order = list(range(len(signers)))
    random.shuffle(order)
    shuffled, moved = [signers[index] for index in order], [roles[index] for index in order]
    assert maximum_matching(shuffled) == maximum_matching(signers)
    assert roles_met(shuffled, moved, per_role) == roles_met(signers, roles, per_role)
