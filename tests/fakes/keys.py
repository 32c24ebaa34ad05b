"""Keys for tests, made once for each process: an RSA key takes longer than most tests."""

import functools

from controller.demo.signingkeys import Hash, KeyType, Padding, SigningKey


def signing_key(name: str = "release", kind: KeyType = KeyType.P256) -> SigningKey:
    """The key of that name and kind; two names are two keys. ECDSA and RSA hash with SHA-256."""
    return _made(name, kind)  # the cache tells calls apart by how they are written, defaults among them


@functools.cache
def _made(name: str, kind: KeyType) -> SigningKey:
    del name  # what the cache tells keys apart by
    return SigningKey.generate(kind)


def variant(key: SigningKey, *, hash_name: Hash | None = None, padding: Padding | None = None) -> SigningKey:
    """The same private key signing in another way."""
    return SigningKey(key.private, hash_name or key.hash, padding or key.padding)
