"""One group of settings turns TLS on for Flight SQL, gRPC and REST, and asks clients for certificates if told so."""

from __future__ import annotations

import datetime as dt
import ipaddress
import json
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest
from adbc_driver_flightsql import DatabaseOptions, dbapi
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from harness.server import SAGITTA, Server, clean_environment, serving
from sagitta.semantic.v1 import settings_service_pb2 as pb
from sagitta.semantic.v1 import settings_service_pb2_grpc as pb_grpc


@dataclass(frozen=True)
class Authority:
    """A certificate authority and what it signed."""

    folder: Path

    def __getitem__(self, name: str) -> Path:
        return self.folder / f"{name}.pem"

    def text(self, name: str) -> bytes:
        return self[name].read_bytes()


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    made = Authority(tmp_path_factory.mktemp("tls"))
    ca_key = ec.generate_private_key(ec.SECP256R1())
    ca_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "an authority")])
    write(made, "ca", "ca-key", signed("an authority", ca_key, ca_key, ca_name, is_ca=True), ca_key)
    for name in ("server", "client"):
        key = ec.generate_private_key(ec.SECP256R1())
        write(made, name, f"{name}-key", signed(name, key, ca_key, ca_name, is_ca=False), key)
    return made


def signed(
    name: str, key: ec.EllipticCurvePrivateKey, by: ec.EllipticCurvePrivateKey, issuer: x509.Name, *, is_ca: bool
) -> x509.Certificate:
    now = dt.datetime.now(dt.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(by.public_key()), critical=False)
    )
    if is_ca:
        usage = x509.KeyUsage(
            digital_signature=True, key_cert_sign=True, crl_sign=True, content_commitment=False,
            key_encipherment=False, data_encipherment=False, key_agreement=False, encipher_only=False,
            decipher_only=False,
        )  # fmt: skip
        builder = builder.add_extension(usage, critical=True)
    else:
        places = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        builder = builder.add_extension(x509.SubjectAlternativeName(places), critical=False)
    return builder.sign(by, hashes.SHA256())


def write(
    made: Authority, name: str, key_name: str, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey
) -> None:
    pem = serialization.Encoding.PEM
    made[name].write_bytes(certificate.public_bytes(pem))
    made[key_name].write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))


@pytest.fixture(scope="module")
def server(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    environment = {
        "SAGITTA_TLS__CERTIFICATE": str(authority["server"]),
        "SAGITTA_TLS__KEY": str(authority["server-key"]),
    }
    with serving(tmp_path_factory.mktemp("server"), [], environment=environment) as up:
        yield up


@pytest.fixture(scope="module")
def strict(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    environment = {
        "SAGITTA_TLS__CERTIFICATE": str(authority["server"]),
        "SAGITTA_TLS__KEY": str(authority["server-key"]),
        "SAGITTA_TLS__CLIENT_CA": str(authority["ca"]),
    }
    with serving(tmp_path_factory.mktemp("strict"), [], environment=environment) as up:
        yield up


def over_grpc(server: Server, credentials: grpc.ChannelCredentials) -> str:
    with grpc.secure_channel(server.grpc, credentials) as channel:
        return str(pb_grpc.SettingsServiceStub(channel).GetHealth(pb.GetHealthRequest(), timeout=60).version)


def over_rest(server: Server, context: ssl.SSLContext) -> Mapping[str, object]:
    with urllib.request.urlopen(f"{server.http}/health", context=context, timeout=60) as answer:
        return dict(json.load(answer))


def over_flight(server: Server, options: Mapping[str, str]) -> object:
    with (
        dbapi.connect(server.flight, db_kwargs=dict(options), autocommit=True) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute("SELECT 1")
        return cursor.fetchone()


def test_every_surface_speaks_tls(server: Server, authority: Authority) -> None:
    assert server.flight.startswith("grpc+tls://")
    assert server.http.startswith("https://")
    assert over_grpc(server, grpc.ssl_channel_credentials(authority.text("ca")))
    assert over_rest(server, ssl.create_default_context(cafile=authority["ca"]))["status"] == "ok"
    assert over_flight(server, {DatabaseOptions.TLS_ROOT_CERTS.value: authority.text("ca").decode()}) == (1,)


def test_no_surface_speaks_without(server: Server) -> None:
    with grpc.insecure_channel(server.grpc) as channel, pytest.raises(grpc.RpcError):
        pb_grpc.SettingsServiceStub(channel).GetHealth(pb.GetHealthRequest(), timeout=5)
    with pytest.raises((urllib.error.URLError, ConnectionError)):
        urllib.request.urlopen(f"{server.http.replace('https', 'http')}/health", timeout=5)


def test_a_server_of_another_authority_is_not_believed(server: Server) -> None:
    with pytest.raises(urllib.error.URLError, match="CERTIFICATE_VERIFY_FAILED"):
        over_rest(server, ssl.create_default_context())


def test_clients_without_a_certificate_are_refused_where_one_is_asked_for(strict: Server, authority: Authority) -> None:
    with pytest.raises(grpc.RpcError):
        over_grpc(strict, grpc.ssl_channel_credentials(authority.text("ca")))
    context = ssl.create_default_context(cafile=authority["ca"])
    with pytest.raises((urllib.error.URLError, ssl.SSLError, ConnectionError)):
        over_rest(strict, context)
    with pytest.raises(dbapi.Error):
        over_flight(strict, {DatabaseOptions.TLS_ROOT_CERTS.value: authority.text("ca").decode()})


def test_clients_with_a_certificate_are_served(strict: Server, authority: Authority) -> None:
    own = grpc.ssl_channel_credentials(authority.text("ca"), authority.text("client-key"), authority.text("client"))
    assert over_grpc(strict, own)
    context = ssl.create_default_context(cafile=authority["ca"])
    context.load_cert_chain(authority["client"], authority["client-key"])
    assert over_rest(strict, context)["status"] == "ok"
    options = {
        DatabaseOptions.TLS_ROOT_CERTS.value: authority.text("ca").decode(),
        DatabaseOptions.MTLS_CERT_CHAIN.value: authority.text("client").decode(),
        DatabaseOptions.MTLS_PRIVATE_KEY.value: authority.text("client-key").decode(),
    }
    assert over_flight(strict, options) == (1,)


def test_a_gateway_of_its_own_asks_an_engine_with_tls(server: Server, authority: Authority, tmp_path: Path) -> None:
    ready = tmp_path / "gateway.json"
    words = [SAGITTA, "gateway", "--engine", server.grpc, "--engine-ca", str(authority["ca"]), "--http", "127.0.0.1:0"]
    process = subprocess.Popen([*words, "--ready-file", str(ready)], env=clean_environment())
    try:
        while not ready.exists():
            assert process.poll() is None
            time.sleep(0.02)
        with urllib.request.urlopen(f"{json.loads(ready.read_text())['http']}/health", timeout=60) as answer:
            assert json.load(answer)["version"]
    finally:
        process.terminate()
        process.wait(60)


def test_the_command_line_asks_with_tls(server: Server, authority: Authority) -> None:
    for words in (
        ["health", "--grpc", server.grpc, "--http", server.http],
        ["query", "--server", server.flight, "SELECT 1 AS one", "--format", "csv"],
    ):
        done = subprocess.run(
            [SAGITTA, *words, "--ca", str(authority["ca"])],
            check=False,
            capture_output=True,
            text=True,
            env=clean_environment(),
        )
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("broken", ["key", "missing", "half"])
def test_files_that_do_not_fit_are_told(authority: Authority, tmp_path: Path, broken: str) -> None:
    key = {"key": str(authority["client-key"]), "missing": str(tmp_path / "nothere.pem"), "half": ""}[broken]
    environment = {"SAGITTA_TLS__CERTIFICATE": str(authority["server"]), "SAGITTA_TLS__KEY": key}
    done = subprocess.run(
        [SAGITTA, "engine", "--grpc", "127.0.0.1:0", "--flight", "127.0.0.1:0", "--data-dir", str(tmp_path / "data")],
        check=False, capture_output=True, text=True, env=clean_environment(environment),
    )  # fmt: skip
    assert done.returncode == 1
    told = {
        "key": "[ADDRESS_UNAVAILABLE] The TLS files cannot be used",
        "missing": "cannot be read: No such file",
        "half": "[INVALID_SETTING] tls: a certificate and its key go together",
    }
    assert told[broken] in done.stderr
    assert "Traceback" not in done.stderr
