"""Bearer tokens: what is accepted, what is refused, what a principal may do."""

import base64
import json
import stat
import threading
import time
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from pydantic import ValidationError
from sagitta_server.auth import (
    AuthenticationError,
    Authenticator,
    AuthSettings,
    Permission,
    PermissionDeniedError,
    TokenIssuer,
)
from sagitta_server.auth.keys import KeySet, dev_secret
from sagitta_server.auth.tokens import expand_permissions

SECRET = "s" * 40


def shared(**settings):
    return Authenticator.from_settings(AuthSettings(mode="hs256", secret=SECRET, **settings), data_dir=None)


def hs256(**claims):
    return "Bearer " + jwt.encode({"sub": "alice", "exp": int(time.time()) + 600, **claims}, SECRET, algorithm="HS256")


def test_permissions_are_the_union_of_claims_scope_and_roles():
    authenticator = shared(role_permissions={"runner": ["dataset:execution:launch"]})
    principal = authenticator.authenticate(
        hs256(permissions=["dataset:session:read"], scope="dataset:session:manage other", roles=["runner"], jti="t1")
    )
    granted = {Permission.SESSION_READ, Permission.SESSION_MANAGE, Permission.EXECUTION_LAUNCH}
    assert principal.permissions == {*granted, "other"}
    assert (principal.user_id, principal.token_id, principal.roles) == ("alice", "t1", {"runner"})


@pytest.mark.parametrize(
    "header", [None, "", "Bearer", "Bearer ", "Basic YWxpY2U6", "Bearer a.b.c", "Bearer " + "x" * 20_000]
)
def test_missing_and_malformed_headers_are_refused(header):
    with pytest.raises(AuthenticationError):
        shared().authenticate(header)


def test_an_expired_token_is_refused_after_the_leeway_only():
    shared().authenticate(hs256(exp=int(time.time()) - 30))
    with pytest.raises(AuthenticationError, match="expired"):
        shared().authenticate(hs256(exp=int(time.time()) - 90))


@pytest.mark.parametrize(
    "claims", [{"exp": None}, {"sub": None}, {"sub": ""}, {"sub": "a" * 256}, {"sub": 7}, {"nbf": 32503680000}]
)
def test_claims_that_cannot_be_trusted_are_refused(claims):
    with pytest.raises(AuthenticationError):
        shared().authenticate(hs256(**claims))


def test_a_token_without_a_signature_is_refused():
    encode = lambda value: base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()  # noqa: E731
    token = f"{encode({'alg': 'none'})}.{encode({'sub': 'alice', 'exp': int(time.time()) + 60})}."
    with pytest.raises(AuthenticationError):
        shared().authenticate("Bearer " + token)


def test_issuer_and_audience_are_checked_when_configured():
    authenticator = shared(issuer="me", audience="sagitta")
    assert authenticator.authenticate(hs256(iss="me", aud="sagitta")).user_id == "alice"
    for claims in ({"iss": "me"}, {"iss": "you", "aud": "sagitta"}, {"iss": "me", "aud": "other"}):
        with pytest.raises(AuthenticationError):
            authenticator.authenticate(hs256(**claims))


@pytest.fixture
def key_file(tmp_path):
    rsa_key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    ec_key = ec.generate_private_key(ec.SECP256R1())
    entries = [
        {**json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(rsa_key.public_key())), "kid": "r"},
        {**json.loads(jwt.algorithms.ECAlgorithm.to_jwk(ec_key.public_key())), "kid": "e"},
    ]
    path = tmp_path / "keys.json"
    path.write_text(json.dumps({"keys": entries}))
    return path, {"RS256": (rsa_key, "r"), "ES256": (ec_key, "e")}


@pytest.mark.parametrize("algorithm", ["RS256", "ES256"])
def test_keys_of_a_set_verify_their_own_algorithm(key_file, algorithm):
    path, keys = key_file
    key, kid = keys[algorithm]
    authenticator = Authenticator.from_settings(AuthSettings(mode="jwks", jwks_file=path), data_dir=None)
    claims = {"sub": "bob", "exp": int(time.time()) + 60}
    token = jwt.encode(claims, key, algorithm=algorithm, headers={"kid": kid})
    assert authenticator.authenticate(f"bearer {token}").user_id == "bob"
    other = next(name for name in keys if name != algorithm)
    wrong_kid = jwt.encode(claims, key, algorithm=algorithm, headers={"kid": keys[other][1]})
    with pytest.raises(AuthenticationError):
        authenticator.authenticate(f"Bearer {wrong_kid}")


def test_keys_that_verify_nothing_do_not_spoil_the_others(key_file):
    """Keycloak, for one, lists a key for encryption beside those for signatures."""
    path, held = key_file
    entries = json.loads(path.read_text())["keys"]
    rsa_key = {name: entries[0][name] for name in ("kty", "n", "e")}
    others = [
        {**rsa_key, "kid": "encrypts", "use": "enc", "alg": "RSA-OAEP"},
        {**rsa_key, "kid": "unsaid", "alg": "RSA-OAEP"},
        {**rsa_key, "kid": "r", "use": "enc"},
        {"kty": "OKP", "crv": "X25519", "x": "hSDwCYkwp1R0i33ctD73Wg2_Og0mOBr066SpjqqbTmo", "kid": "agrees"},
        {"kty": "EC", "crv": "P-0", "x": "AA", "y": "AA", "kid": "broken"},
        {"kty": "oct", "k": "c2VjcmV0", "kid": "shared"},
    ]
    path.write_text(json.dumps({"keys": [*entries, *others]}))
    authenticator = Authenticator.from_settings(AuthSettings(mode="jwks", jwks_file=path), data_dir=None)
    for algorithm, (key, kid) in held.items():
        claims = {"sub": "bob", "exp": int(time.time()) + 60}
        token = jwt.encode(claims, key, algorithm=algorithm, headers={"kid": kid})
        assert authenticator.authenticate(f"Bearer {token}").user_id == "bob"


def test_a_public_key_does_not_pass_as_a_shared_secret(key_file):
    path, _ = key_file
    authenticator = Authenticator.from_settings(AuthSettings(mode="jwks", jwks_file=path), data_dir=None)
    token = jwt.encode({"sub": "eve", "exp": int(time.time()) + 60}, "k" * 40, algorithm="HS256", headers={"kid": "r"})
    with pytest.raises(AuthenticationError):
        authenticator.authenticate(f"Bearer {token}")


def test_a_broken_key_file_refuses_and_recovers(tmp_path):
    path = tmp_path / "keys.json"
    path.write_text("{")
    authenticator = Authenticator.from_settings(AuthSettings(mode="jwks", jwks_file=path), data_dir=None)
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    token = jwt.encode({"sub": "bob", "exp": int(time.time()) + 60}, key, algorithm="RS256", headers={"kid": "r"})
    with pytest.raises(AuthenticationError, match="cannot be read"):
        authenticator.authenticate(f"Bearer {token}")
    entry = {**json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key())), "kid": "r"}
    path.write_text(json.dumps({"keys": [entry]}))
    assert authenticator.authenticate(f"Bearer {token}").user_id == "bob"


def test_a_place_of_keys_that_hangs_is_asked_by_one_caller_and_then_left_alone_for_a_while():
    asked = []

    def hang():
        asked.append(1)
        time.sleep(0.2)
        raise OSError("no answer")

    keys = KeySet(hang, max_age=300, pause=60)

    def call(_):
        with pytest.raises(AuthenticationError, match="cannot be read"):
            keys.key_for({"alg": "RS256", "kid": "one"})

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(call, range(64)))
    assert len(asked) == 1


def test_known_keys_verify_while_their_place_hangs(key_file):
    path, held = key_file
    claims = {"sub": "bob", "exp": int(time.time()) + 60}
    token = "Bearer " + jwt.encode(claims, held["RS256"][0], algorithm="RS256", headers={"kid": "r"})
    content, hangs, released = path.read_text(), threading.Event(), threading.Event()

    def read():
        if hangs.is_set():
            released.wait(20)
            raise OSError("no answer")
        return content

    keys = KeySet(read, max_age=0.0)
    authenticator = Authenticator(AuthSettings(), keys)
    assert authenticator.authenticate(token).user_id
    hangs.set()
    with ThreadPoolExecutor(2) as pool:
        slow = pool.submit(authenticator.authenticate, token)
        quick = pool.submit(authenticator.authenticate, token)
        done, _ = wait([slow, quick], return_when=FIRST_COMPLETED, timeout=10)
        assert len(done) == 1
        released.set()
        assert slow.result(10).user_id == quick.result(10).user_id


@pytest.mark.parametrize("end", [10**18, "32503680000"])
def test_an_end_beyond_the_calendar_or_in_words_is_understood(end):
    assert shared().authenticate(hs256(exp=end)).expires_at is not None


def test_the_development_secret_is_the_same_for_all_who_make_it_at_once(tmp_path):
    with ThreadPoolExecutor(16) as pool:
        assert len(set(pool.map(lambda _: dev_secret(tmp_path), range(16)))) == 1
    assert [path.name for path in (tmp_path / "auth").iterdir()] == ["dev-secret"]


def test_the_development_secret_is_private_and_stays(tmp_path):
    token = TokenIssuer.for_data_dir(tmp_path).issue("alice", expand_permissions("all"))
    principal = Authenticator.from_settings(AuthSettings(), tmp_path).authenticate(f"Bearer {token}")
    assert principal.permissions == frozenset(Permission)
    (secret_file,) = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert stat.S_IMODE(secret_file.stat().st_mode) == 0o600


def test_a_missing_permission_is_named():
    principal = shared().authenticate(hs256(permissions=["dataset:session:read"]))
    principal.require(Permission.SESSION_READ)
    with pytest.raises(PermissionDeniedError) as caught:
        principal.require(Permission.SESSION_READ, Permission.EXECUTION_LAUNCH)
    assert caught.value.required == (Permission.EXECUTION_LAUNCH,)


@pytest.mark.parametrize("text", ["", "everything", "dataset:session:read,nope"])
def test_unknown_permissions_are_refused_with_the_list_of_known_ones(text):
    with pytest.raises(ValueError, match="dataset:session:manage"):
        expand_permissions(text)


def test_settings_that_cannot_verify_anything_are_refused(tmp_path):
    for settings in ({"mode": "hs256"}, {"mode": "hs256", "secret": "short"}, {"mode": "jwks"}, {"mode": "none"}):
        with pytest.raises(ValidationError):
            AuthSettings(**settings)


def test_claims_that_policies_may_read_are_scalars_and_lists_of_them():
    principal = shared().authenticate(hs256(country="DE", limits=[1, 2], nested={"a": 1}, mixed=[1, {}], jti="t2"))
    assert dict(principal.claims) == {"country": ("DE",), "limits": (1, 2), "sub": ("alice",)}
