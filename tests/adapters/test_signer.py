"""Private keys from files: what is taken, what is refused and why, and that a signature is one."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, utils
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from keypairs import PASSPHRASE, certificate, pem, rsa_key, written

from ecapipe.adapters.environment import Environment
from ecapipe.adapters.signer import EcKeys, PemKeys, RsaKey
from ecapipe.problems import credentials
from ecapipe.problems.problem import EcapipeError, Problem
from ecapipe.secret import Secret

NOW = "2026-11-25T12:00:00.000Z"


def read(path: str, ask: Callable[[str], Secret | None] | None = None, **variables: str) -> RsaKey:
    return PemKeys(Environment(variables).credential)(path, ask)


def problem(path: str, ask: Callable[[str], Secret | None] | None = None, **variables: str) -> Problem:
    with pytest.raises(EcapipeError) as caught:
        read(path, ask, **variables)
    return caught.value.problem


def verifies(key: RsaKey, name: str = "one") -> bool:
    rsa_key(name).public_key().verify(key.sign(b"data"), b"data", padding.PKCS1v15(), hashes.SHA256())
    return True


@pytest.mark.parametrize("form", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL])
def test_a_key_signs_with_rs256(tmp_path: Path, form: PrivateFormat) -> None:
    assert verifies(read(written(tmp_path, pem(rsa_key(), form=form))))


def test_a_key_for_proofs_signs_with_es256_and_is_the_same_when_it_is_loaded() -> None:
    key = EcKeys().new()
    loaded = EcKeys().load(key.secret)
    assert loaded is not None
    assert (loaded.x, loaded.y, repr(loaded)) == (key.x, key.y, "Key()")
    signature = loaded.sign(b"data")
    numbers = (int.from_bytes(signature[:32]), int.from_bytes(signature[32:]))
    point = ec.EllipticCurvePublicNumbers(int.from_bytes(key.x), int.from_bytes(key.y), ec.SECP256R1())
    point.public_key().verify(utils.encode_dss_signature(*numbers), b"data", ec.ECDSA(hashes.SHA256()))


@pytest.mark.parametrize("secret", ["A" * 43, "_" * 43, "A" * 42, "A" * 44, "é" * 43, "not a key", "A" * 42 + "="])
def test_what_is_no_key_for_proofs_is_none(secret: str) -> None:
    assert EcKeys().load(Secret(secret)) is None


def test_what_stands_around_a_key_does_not_matter(tmp_path: Path) -> None:
    data = certificate(rsa_key()).encode() + b"\r\n" + pem(rsa_key()).replace(b"\n", b"\r\n")
    assert verifies(read(written(tmp_path, data)))


def test_a_key_comes_through_a_pipe_and_is_read_once(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe, 0o600)
    writer = threading.Thread(target=pipe.write_bytes, args=(pem(rsa_key()),))
    writer.start()
    keys = PemKeys(Environment({}).credential)
    first, second = keys(str(pipe), None), keys(str(pipe), None)
    writer.join()
    assert first is second


@pytest.mark.parametrize("form", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL])
def test_an_encrypted_key_opens_by_variable_file_or_question(tmp_path: Path, form: PrivateFormat) -> None:
    path = written(tmp_path, pem(rsa_key(), PASSPHRASE, form))
    (tmp_path / "passphrase").write_text(f"{PASSPHRASE}\n")
    asked: list[str] = []

    def ask(question: str) -> Secret:
        asked.append(question)
        return Secret(PASSPHRASE)

    assert verifies(read(path, ask, ECAPIPE_JWT_KEY_PASSPHRASE=PASSPHRASE))
    assert verifies(read(path, ask, ECAPIPE_JWT_KEY_PASSPHRASE_FILE=str(tmp_path / "passphrase")))
    assert asked == []
    assert verifies(read(path, ask))
    assert asked == [f"Passphrase of {path}: "]


def test_the_passphrase_is_asked_for_once_and_so_is_a_wrong_one(tmp_path: Path) -> None:
    path = written(tmp_path, pem(rsa_key(), PASSPHRASE))
    asked: list[str] = []

    def ask(question: str) -> Secret:
        asked.append(question)
        return Secret("wrong")

    keys = PemKeys(Environment({}).credential)
    for _ in range(2):
        with pytest.raises(EcapipeError) as caught:
            keys(path, ask)
        assert caught.value.problem.kind is credentials.jwt_key_passphrase_wrong
    assert len(asked) == 1


@pytest.mark.parametrize("answer", [None, lambda question: None])
def test_an_encrypted_key_without_passphrase_says_how_to_give_one(
    tmp_path: Path, answer: Callable[[str], Secret | None] | None
) -> None:
    path = written(tmp_path, pem(rsa_key(), PASSPHRASE))
    found = problem(path, answer)
    assert (found.kind, found.file) == (credentials.jwt_key_encrypted, path)
    assert "ECAPIPE_JWT_KEY_PASSPHRASE" in found.actions[0]


def test_a_passphrase_that_no_key_needs_does_no_harm(tmp_path: Path) -> None:
    assert verifies(read(written(tmp_path, pem(rsa_key())), ECAPIPE_JWT_KEY_PASSPHRASE=PASSPHRASE))


def public(name: str = "one") -> bytes:
    return rsa_key(name).public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def openssh() -> bytes:
    return rsa_key().private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())


def der() -> bytes:
    return rsa_key().private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())


UNUSABLE: Mapping[str, tuple[Callable[[], bytes], str]] = {
    "nothing": (lambda: b"\n", "empty"),
    "text": (lambda: b"my key", "no PEM file"),
    "DER": (der, "no PEM file"),
    "a certificate": (lambda: certificate(rsa_key()).encode(), "holds a certificate"),
    "a public key": (public, "holds a public key"),
    "a key of OpenSSH": (openssh, "OpenSSH"),
    "an elliptic curve": (lambda: pem(ec.generate_private_key(ec.SECP256R1())), "RSA only"),
    "Ed25519": (lambda: pem(ed25519.Ed25519PrivateKey.generate()), "Ed25519"),
    "a short key": (lambda: pem(rsa_key("short", 1024)), "1024 bits"),
    "a damaged key": (lambda: pem(rsa_key())[:200] + b"\n-----END PRIVATE KEY-----\n", "damaged"),
    "one line": (lambda: pem(rsa_key()).replace(b"\n", rb"\n"), "line breaks"),
    "too much": (lambda: pem(rsa_key()) * 50, "64 KiB"),
}


@pytest.mark.parametrize(("data", "reason"), UNUSABLE.values(), ids=UNUSABLE.keys())
def test_what_is_no_usable_key_is_refused_with_the_reason(
    tmp_path: Path, data: Callable[[], bytes], reason: str
) -> None:
    path = written(tmp_path, data())
    found = problem(path)
    assert (found.kind, found.file) == (credentials.jwt_key_not_usable, path)
    assert reason in found.message


def test_a_file_that_is_not_there_or_is_a_folder(tmp_path: Path) -> None:
    assert problem(str(tmp_path / "missing")).kind is credentials.jwt_key_not_path
    assert problem(str(tmp_path)).kind is credentials.jwt_key_not_path


def test_a_key_in_place_of_a_path_is_not_repeated() -> None:
    text = pem(rsa_key()).decode()
    found = problem(text)
    assert (found.kind, found.exit_code, found.file) == (credentials.jwt_key_not_path, 2, None)
    said = " ".join((found.message, *found.actions))
    assert not any(line in said for line in text.splitlines())


@pytest.mark.skipif(os.name != "posix", reason="the system has no modes")
@pytest.mark.parametrize(("mode", "exposed"), [(0o600, False), (0o400, False), (0o640, True), (0o644, True)])
def test_a_key_that_others_may_read_is_noticed(tmp_path: Path, mode: int, exposed: bool) -> None:
    assert read(written(tmp_path, pem(rsa_key()), mode)).open_to_others is exposed


def test_a_key_does_not_show_itself(tmp_path: Path) -> None:
    assert repr(read(written(tmp_path, pem(rsa_key())))) == "Key()"


def test_a_certificate_is_compared_with_the_key(tmp_path: Path) -> None:
    key = read(written(tmp_path, pem(rsa_key())))
    own = certificate(rsa_key())
    body = "".join(own.splitlines()[1:-1])
    assert [key.doubt(own, NOW), key.doubt(body, NOW)] == [None, None]
    assert key.doubt(certificate(rsa_key("two")), NOW) == "belongs to another private key"
    assert key.doubt(certificate(ec.generate_private_key(ec.SECP256R1())), NOW) == "belongs to another private key"
    assert key.doubt("MIIC", NOW) == "cannot be read as a certificate"
    assert key.doubt("é", NOW) == "cannot be read as a certificate"
    assert (key.doubt(certificate(rsa_key(), days=-400), NOW) or "").startswith("expired on 20")
