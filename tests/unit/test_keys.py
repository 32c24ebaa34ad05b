"""Which keys are accepted, how they verify, and that two encodings of one key are one signer."""

import base64
import hashlib
import textwrap
import warnings

import pytest
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, rsa, utils, x448, x25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from controller import keys
from controller.demo.signingkeys import Hash, KeyType, Padding, PrivateKey
from controller.errors import Code, Invalid, Refused
from controller.keys import Message
from tests.fakes.keys import signing_key, variant

SPKI = PublicFormat.SubjectPublicKeyInfo
RSA_NULL = bytes.fromhex("300d06092a864886f70d0101010500")
TEXT = b"what was signed"


def pem(der: bytes, label: str = "PUBLIC KEY") -> bytes:
    body = "\n".join(textwrap.wrap(base64.b64encode(der).decode(), 64))
    return f"-----BEGIN {label}-----\n{body}\n-----END {label}-----\n".encode()


def der_sequence(content: bytes) -> bytes:
    length = len(content)
    head = (
        bytes([length])
        if length < 128
        else b"\x81" + bytes([length])
        if length < 256
        else b"\x82" + length.to_bytes(2, "big")
    )
    return b"\x30" + head + content


def reencoded(der: bytes, identifier: bytes) -> bytes:
    """The same key with another AlgorithmIdentifier."""
    start = der.index(RSA_NULL)
    return der_sequence(identifier + der[start + len(RSA_NULL) :])


def refusal(data: bytes, field: str = "spec.authorities[0].keys[0].pem") -> Invalid:
    with pytest.raises(Invalid) as caught:
        keys.parse(data, field)
    assert caught.value.reason.code is Code.INVALID_KEY
    assert caught.value.field == field
    assert caught.value.reason.message.startswith(f"{field}: ")
    return caught.value


@pytest.mark.parametrize(
    ("kind", "algorithm", "first"),
    [
        (KeyType.P256, "ECDSA P-256", "ECDSA P-256 sha256"),
        (KeyType.P384, "ECDSA P-384", "ECDSA P-384 sha256"),
        (KeyType.P521, "ECDSA P-521", "ECDSA P-521 sha256"),
        (KeyType.ED25519, "Ed25519", "Ed25519"),
        (KeyType.RSA2048, "RSA 2048", "RSA PKCS1v15 sha256"),
        (KeyType.ML_DSA_44, "ML-DSA-44", "ML-DSA-44"),
        (KeyType.ML_DSA_65, "ML-DSA-65", "ML-DSA-65"),
        (KeyType.ML_DSA_87, "ML-DSA-87", "ML-DSA-87"),
    ],
)
def test_every_accepted_type_verifies_what_cosign_2_signs(kind: KeyType, algorithm: str, first: str) -> None:
    private = signing_key(kind=kind)
    for encoded in (private.public_pem.encode(), private.public_der):
        key = keys.parse(encoded)
        assert key.algorithm == algorithm
        assert key.spki_sha256 == hashlib.sha256(private.public_der).hexdigest()
        signature = private.sign(TEXT)
        assert key.verify(signature, Message(TEXT)).name == first
        for wrong in (signature[:-1], b"", signature[:-1] + bytes([signature[-1] ^ 1]), signature + b"\0"):
            with pytest.raises(Refused) as caught:
                key.verify(wrong, Message(TEXT))
            assert caught.value.reason.code is Code.SIGNATURE_INVALID
        assert not key.verifies(signature, Message(TEXT + b"."))


@pytest.mark.parametrize(
    ("kind", "hash_name", "accepted"),
    [
        (KeyType.P256, Hash.SHA256, True),
        (KeyType.P256, Hash.SHA384, False),
        (KeyType.P256, Hash.SHA512, False),
        (KeyType.P384, Hash.SHA256, True),
        (KeyType.P384, Hash.SHA384, True),
        (KeyType.P384, Hash.SHA512, False),
        (KeyType.P521, Hash.SHA256, True),
        (KeyType.P521, Hash.SHA384, False),
        (KeyType.P521, Hash.SHA512, True),
        (KeyType.RSA2048, Hash.SHA256, True),
        (KeyType.RSA2048, Hash.SHA384, True),
        (KeyType.RSA2048, Hash.SHA512, True),
    ],
)
def test_hash_is_decided_by_the_key_type(kind: KeyType, hash_name: Hash, *, accepted: bool) -> None:
    private = variant(signing_key(kind=kind), hash_name=hash_name)
    assert keys.parse(private.public_der).verifies(private.sign(TEXT), Message(TEXT)) is accepted


@pytest.mark.parametrize("padding", [Padding.PSS, Padding.PSS_LONGEST_SALT])
def test_rsa_pss_with_any_salt(padding: Padding) -> None:
    private = variant(signing_key(kind=KeyType.RSA2048), padding=padding)
    assert keys.parse(private.public_der).verify(private.sign(TEXT), Message(TEXT)).name == "RSA PSS sha256"


def test_ed25519ph_as_current_cosign_signs() -> None:
    private = signing_key(kind=KeyType.ED25519).with_cosign_defaults()
    assert keys.parse(private.public_der).verify(private.sign(TEXT), Message(TEXT)).name == "Ed25519ph"


def test_digests_alone_verify_what_hashes_with_them() -> None:
    known = Message(None, {"sha256": hashlib.sha256(TEXT).digest()})
    p256, p384, ed = (signing_key(kind=kind) for kind in (KeyType.P256, KeyType.P384, KeyType.ED25519))
    assert keys.parse(p256.public_der).verifies(p256.sign(TEXT), known)
    curve_hash = variant(p384, hash_name=Hash.SHA384)
    assert keys.parse(p384.public_der).verifies(p384.sign(TEXT), known)
    assert not keys.parse(p384.public_der).verifies(curve_hash.sign(TEXT), known)
    assert not keys.parse(ed.public_der).verifies(ed.sign(TEXT), known)


def test_known_answers_of_other_people() -> None:
    # RFC 8032 section 7.1, TEST 3
    ed = bytes.fromhex("fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025")
    key = keys.parse(bytes.fromhex("302a300506032b6570032100") + ed)
    signature = bytes.fromhex(
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
        "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"
    )
    assert key.verifies(signature, Message(bytes.fromhex("af82")))
    # RFC 8032 section 7.3, TEST abc
    ed = bytes.fromhex("ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf")
    key = keys.parse(bytes.fromhex("302a300506032b6570032100") + ed)
    signature = bytes.fromhex(
        "98a70222f0b8121aa9d30f813d683f809e462b469c7ff87639499bb94e6dae41"
        "31f85042463c2a355a2003d062adf5aaa10b8c61e636062aaad11c2a26083406"
    )
    assert key.verify(signature, Message(b"abc")).name == "Ed25519ph"
    assert not key.verifies(signature, Message(b"abd"))
    # RFC 6979 appendix A.2.5, SHA-256, message "sample"
    point = bytes.fromhex(
        "0460fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6"
        "7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299"
    )
    r = 0xEFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716
    s = 0xF7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8
    key = keys.parse(bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d030107034200") + point)
    assert key.verify(utils.encode_dss_signature(r, s), Message(b"sample")).name == "ECDSA P-256 sha256"


def test_compressed_and_uncompressed_points_are_one_signer() -> None:
    private = signing_key().private
    assert isinstance(private, ec.EllipticCurvePrivateKey)
    compressed = private.public_key().public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
    der = bytes.fromhex("3039301306072a8648ce3d020106082a8648ce3d030107032200") + compressed
    key = keys.parse(pem(der))
    assert key == keys.parse(signing_key().public_der)
    assert key.spki == signing_key().public_der


def test_rsa_with_and_without_parameters_are_one_signer() -> None:
    der = signing_key(kind=KeyType.RSA2048).public_der
    assert keys.parse(reencoded(der, bytes.fromhex("300b06092a864886f70d010101"))) == keys.parse(der)


def test_rsassa_pss_key_is_the_same_signer_but_signs_with_pss_only() -> None:
    private = signing_key(kind=KeyType.RSA2048)
    free = keys.parse(reencoded(private.public_der, bytes.fromhex("300b06092a864886f70d01010a")))
    bound = keys.parse(
        reencoded(
            private.public_der,
            bytes.fromhex(  # SHA-256, MGF1 with SHA-256, salt 32, as OpenSSL writes it
                "304106092a864886f70d01010a3034a00f300d06096086480165030402010500"
                "a11c301a06092a864886f70d010108300d06096086480165030402010500a203020120"
            ),
        )
    )
    assert free.spki_sha256 == bound.spki_sha256 == keys.parse(private.public_der).spki_sha256
    pss256 = variant(private, padding=Padding.PSS)
    pss512 = variant(private, padding=Padding.PSS, hash_name=Hash.SHA512)
    assert [key.verifies(private.sign(TEXT), Message(TEXT)) for key in (free, bound)] == [False, False]
    assert [key.verifies(pss256.sign(TEXT), Message(TEXT)) for key in (free, bound)] == [True, True]
    assert [key.verifies(pss512.sign(TEXT), Message(TEXT)) for key in (free, bound)] == [True, False]
    assert len({free, bound}) == 2, "they believe different signatures"


@pytest.mark.parametrize(
    "parameters",
    [
        "3000",  # the defaults, which are SHA-1
        "3034a00f300d06096086480165030402030500a11c301a06092a864886f70d010108300d06096086480165030402010500a203020120",
        "3011a00f300d06096086480165030402010500",  # SHA-256 with a mask over SHA-1
    ],
)
def test_rsassa_pss_key_bound_to_sha1_or_mixed_hashes(parameters: str) -> None:
    content = bytes.fromhex("06092a864886f70d01010a" + parameters)
    reason = refusal(reencoded(signing_key(kind=KeyType.RSA2048).public_der, der_sequence(content))).reason
    assert "bound to a hash" in reason.message


@pytest.mark.parametrize(
    ("curve", "found"),
    [
        (ec.SECP224R1(), "P-224"),
        (ec.SECP256K1(), "secp256k1"),
        (ec.BrainpoolP256R1(), "object identifier 2b2403030208010107"),
    ],
)
def test_other_curves(curve: ec.EllipticCurve, found: str) -> None:
    reason = refusal(pem(ec.generate_private_key(curve).public_key().public_bytes(Encoding.DER, SPKI))).reason
    assert (reason.expected, reason.found) == ("P-256, P-384 or P-521", found)


def test_explicit_curve_parameters() -> None:
    der = signing_key().public_der
    explicit = bytes.fromhex("06072a8648ce3d0201") + der_sequence(b"\x02\x01\x01")
    assert "explicit parameters" in refusal(der_sequence(der_sequence(explicit) + der[23:])).reason.message


def test_hybrid_point_and_point_off_the_curve() -> None:
    der = bytearray(signing_key().public_der)
    der[26] = 6 + (der[-1] & 1)
    assert "SubjectPublicKeyInfo" in refusal(bytes(der)).reason.message
    der = bytearray(signing_key().public_der)
    der[-1] ^= 1
    assert "cannot be loaded" in refusal(bytes(der)).reason.message


@pytest.mark.parametrize(
    ("key", "said"),
    [
        (x25519.X25519PrivateKey.generate().public_key(), "X25519"),
        (x448.X448PrivateKey.generate().public_key(), "X448"),
        (ed448.Ed448PrivateKey.generate().public_key(), "Ed448"),
    ],
)
def test_other_kinds(key: x25519.X25519PublicKey | x448.X448PublicKey | ed448.Ed448PublicKey, said: str) -> None:
    assert said in refusal(pem(key.public_bytes(Encoding.DER, SPKI))).reason.message


def test_dsa() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        der = dsa.generate_private_key(2048).public_key().public_bytes(Encoding.DER, SPKI)
    assert "DSA" in refusal(pem(der)).reason.message


@pytest.mark.parametrize(("bits", "found"), [(1024, "1024"), (2047, "2047")])
def test_short_rsa(bits: int, found: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        der = rsa.generate_private_key(65537, bits).public_key().public_bytes(Encoding.DER, SPKI)
    assert refusal(der).reason.found == found


def rsa_der(e: int, n: int) -> bytes:
    return rsa.RSAPublicNumbers(e, n).public_key().public_bytes(Encoding.DER, SPKI)


def test_long_rsa_and_odd_exponents_and_even_modulus() -> None:
    private = signing_key(kind=KeyType.RSA2048).private
    assert isinstance(private, rsa.RSAPrivateKey)
    n = private.public_key().public_numbers().n
    assert refusal(rsa_der(65537, 2**16384 + 1)).reason.found == "16385"
    assert refusal(rsa_der(3, n)).reason.found == "3"
    assert refusal(rsa_der(2**40 + 1, n)).reason.found == str(2**40 + 1)
    assert "even" in refusal(rsa_der(65537, n - 1)).reason.message


def private_bytes(key: PrivateKey, form: PrivateFormat, encoding: Encoding) -> bytes:
    return key.private_bytes(encoding, form, NoEncryption())


@pytest.mark.parametrize("encoding", [Encoding.PEM, Encoding.DER])
@pytest.mark.parametrize("form", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL])
@pytest.mark.parametrize("kind", [KeyType.P256, KeyType.RSA2048])
def test_private_keys_are_named_as_such_and_not_echoed(kind: KeyType, form: PrivateFormat, encoding: Encoding) -> None:
    secret = private_bytes(signing_key(kind=kind).private, form, encoding)
    error = refusal(secret)
    assert "this is a private key: export its public half" in error.reason.message
    assert base64.b64encode(secret)[:40].decode() not in str(error)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"", "is empty"),
        (b" \n", "is empty"),
        (b"hello", "is no public key"),
        (
            b"-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED SIGSTORE PRIVATE KEY-----",
            "private key",
        ),
        (b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----", "certificate"),
        (b"-----BEGIN RSA PUBLIC KEY-----\nAAAA\n-----END RSA PUBLIC KEY-----", "PKCS#1"),
        (b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nAAAA\n-----END PGP PUBLIC KEY BLOCK-----", "OpenPGP"),
        (b"-----BEGIN PARAMETERS-----\nAAAA\n-----END PARAMETERS-----", "type PARAMETERS"),
        (b"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB me@host", "SSH key"),
        (b"awskms:///alias/release", "key services"),
        (b"0" * 40_000, "too long"),
        (b"-----BEGIN PUBLIC KEY-----\n!!!!\n-----END PUBLIC KEY-----", "not base64"),
        (b"-----BEGIN PUBLIC KEY-----\nMFkwEx==\n-----END PUBLIC KEY-----", "canonical"),
        (b"-----BEGIN PUBLIC KEY-----\nMFkwEw==\n-----END PUBLIC KEY-----", "SubjectPublicKeyInfo"),
        (b"-----BEGIN PUBLIC KEY-----\nMFkwEw==\n", "before or after"),
    ],
)
def test_what_else_people_paste(text: bytes, said: str) -> None:
    assert said in refusal(text).reason.message


def test_armor_with_anything_around_or_inside() -> None:
    good = signing_key().public_pem.encode()
    keys.parse(b"\n  " + good.replace(b"\n", b"\r\n") + b"\n")
    assert "several" in refusal(good + signing_key("other").public_pem.encode()).reason.message
    assert "before or after" in refusal(b"# release key\n" + good).reason.message
    assert "before or after" in refusal(good + b"junk").reason.message
    with_header = good.replace(b"KEY-----\nM", b"KEY-----\nProc-Type: 4,ENCRYPTED\n\nM", 1)
    assert "not base64" in refusal(with_header).reason.message


def test_bytes_after_the_key() -> None:
    assert "bytes after the key" in refusal(signing_key().public_der + b"\0").reason.message
    assert "bytes after the key" in refusal(pem(signing_key().public_der + b"\0")).reason.message


def test_parameters_where_there_must_be_none() -> None:
    der = signing_key(kind=KeyType.ED25519).public_der
    with_null = der_sequence(bytes.fromhex("300706032b65700500") + der[9:])
    assert "carries parameters" in refusal(with_null).reason.message


def test_length_that_is_not_the_shortest() -> None:
    der = signing_key().public_der
    assert "SubjectPublicKeyInfo" in refusal(b"\x30\x81" + der[1:2] + der[2:]).reason.message


def test_fingerprint_is_short_and_says_how_it_was_made() -> None:
    key = keys.parse(signing_key().public_der)
    assert key.fingerprint == f"SHA256:{key.spki_sha256[:12]}…"
    assert str(keys.NamedKey("h1", key)) == f"h1 {key.fingerprint}"
    assert str(keys.NamedKey("", key)) == key.fingerprint
