"""Proofs of inclusion in a Merkle tree (RFC 6962 section 2.1.1; the algorithm of RFC 9162 section 2.1.3.2)."""

import hashlib
from collections.abc import Sequence

from controller.errors import Code, Refused


def leaf_hash(body: bytes) -> bytes:
    """The hash of a leaf (RFC 6962 section 2.1)."""
    return hashlib.sha256(b"\x00" + body).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of an inner node (RFC 6962 section 2.1)."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def check_inclusion(body: bytes, index: int, size: int, hashes: Sequence[bytes], root_hash: bytes) -> None:
    """Check that the leaf `body` is number `index` of the tree with `size` leaves and `root_hash`.

    Raises:
        Refused: `LogProofInvalid`.
    """
    if not 0 <= index < size:
        raise _invalid("names a leaf that the tree does not have", f"an index below {size}", str(index))
    first, last, result = index, size - 1, leaf_hash(body)
    for value in hashes:
        if last == 0:
            raise _invalid("has too many hashes")
        if first & 1 or first == last:
            result = node_hash(value, result)
            while first and not first & 1:
                first, last = first >> 1, last >> 1
        else:
            result = node_hash(result, value)
        first, last = first >> 1, last >> 1
    if last != 0:
        raise _invalid("has too few hashes")
    if result != root_hash:
        raise _invalid("does not lead from the entry to the root hash", root_hash.hex(), result.hex())


def _invalid(why: str, expected: str = "", found: str = "") -> Refused:
    return Refused(
        Code.LOG_PROOF_INVALID, f"inclusion proof {why} (RFC 9162 section 2.1.3.2)", expected=expected, found=found
    )
