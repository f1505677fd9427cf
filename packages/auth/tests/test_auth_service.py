"""Logging in, being known, and being known no longer; over HTTP, to the real service on a real database."""

import asyncio
import base64
import hashlib
import hmac
import json
import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet, OKPKey

from auth.app import Auth, application
from auth.attempts import Attempts
from auth.password import Passwords
from auth.permission import permissions_of
from auth.token import generate_key, issue, load_key
from auth.user import User, Users
from kit.tokens import AUDIENCE, SIGNATURES, TokenVerifier
from laptop.postgres import Cluster

pytestmark = pytest.mark.integration

WRONG = {
    "code": "invalid-credentials",
    "message": "no user of this tenant has this name and password",
}


@pytest.fixture
def nobody() -> str:
    """A name that no other test tries, so that attempts are a test's own."""
    return f"nobody-{uuid4()}"


@pytest.fixture(scope="module")
def fresh(users: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Users whom no other test has met."""
    return iter([user for user in users if user["tenant_id"] == users[0]["tenant_id"]])


@pytest.fixture
def user(fresh: Iterator[dict[str, Any]]) -> dict[str, Any]:
    return next(fresh)


@pytest.fixture
def token(auth: Any, user: dict[str, Any]) -> str:
    answer = auth.log_in(user["tenant_id"], user["username"])
    assert answer.status == 200
    return str(answer.body["access_token"])


def me(auth: Any, token: str) -> Any:
    return auth.call("GET", "/auth/me", authorization=f"Bearer {token}")


def signed(key: OKPKey, user: dict[str, Any], *, issuer: str = "tranche-auth", ago: timedelta) -> str:
    """A token for this user that was issued some time ago, for an hour."""
    whom = User(
        id=UUID(user["id"]),
        tenant_id=UUID(user["tenant_id"]),
        username=user["username"],
        password_hash="",
        roles=tuple(user["roles"]),
        internal=user["internal"],
    )
    now = datetime.now(UTC) - ago
    return issue(key, whom, issuer=issuer, token_id=uuid4(), now=now, lifetime=timedelta(hours=1))


def part(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def unsigned(token: str) -> str:
    """The same claims, said to need no signature."""
    return f"{part({'alg': 'none', 'typ': 'JWT'})}.{token.split('.')[1]}."


def signed_with_what_is_published(key: OKPKey, token: str) -> str:
    """The same claims, with the public key as if it were a shared secret."""
    text = f"{part({'alg': 'HS256', 'typ': 'JWT', 'kid': key.kid})}.{token.split('.')[1]}"
    mac = hmac.new(key.as_pem(private=False), text.encode(), hashlib.sha256).digest()
    return f"{text}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"


def changed(token: str, **claims: object) -> str:
    """The same signature under other claims."""
    header, payload, signature = token.split(".")
    said = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return f"{header}.{part(said | claims)}.{signature}"


def test_a_user_logs_in_by_the_tenants_id_and_by_its_name(auth: Any, user: dict[str, Any]) -> None:
    for tenant in (user["tenant_id"], "padma-textiles"):
        answer = auth.log_in(tenant, user["username"])
        assert answer.status == 200
        assert (answer.body["token_type"], answer.body["expires_in"]) == ("Bearer", 3600)
        assert me(auth, answer.body["access_token"]).body["id"] == user["id"]


def test_the_same_name_in_another_tenant_is_somebody_else(auth: Any, users: list[dict[str, Any]]) -> None:
    name = users[0]["username"]
    found = {
        me(auth, auth.log_in(tenant, name).body["access_token"]).body["tenant"]
        for tenant in ("padma-textiles", "meghna-foods", "jamuna-logistics")
    }
    assert len(found) == 3


def test_a_token_verifies_against_the_published_keys_and_says_who(
    auth: Any, user: dict[str, Any], token: str
) -> None:
    published = auth.call("GET", "/auth/.well-known/jwks.json")
    assert published.status == 200
    found = jwt.decode(token, KeySet.import_key_set(published.body), registry=SIGNATURES)
    claims = dict(found.claims)
    assert found.header == {"typ": "JWT", "alg": "EdDSA", "kid": published.body["keys"][0]["kid"]}
    assert claims.pop("exp") - claims["iat"] == 3600
    assert claims.pop("nbf") == claims["iat"]
    assert abs(claims.pop("iat") - time.time()) < 60
    assert UUID(claims.pop("jti"))
    assert claims == {
        "iss": "tranche-auth",
        "aud": AUDIENCE,
        "sub": user["id"],
        "tenant": user["tenant_id"],
        "roles": user["roles"],
        "permissions": permissions_of(user["roles"]),
        "internal": user["internal"],
    }


def test_a_service_that_checks_tokens_knows_the_bearer(auth: Any, user: dict[str, Any], token: str) -> None:
    url = f"http://127.0.0.1:{auth.settings['AUTH_PORT']}/auth/.well-known/jwks.json"
    verifier = TokenVerifier(issuer="tranche-auth", jwks_url=url)
    found = asyncio.run(verifier.verify(f"Bearer {token}"))
    assert (found.user_id, found.tenant_id, found.internal) == (
        user["id"],
        user["tenant_id"],
        user["internal"],
    )


def test_what_is_published_verifies_and_does_not_sign(auth: Any) -> None:
    (key,) = auth.call("GET", "/auth/.well-known/jwks.json").body["keys"]
    assert sorted(key) == ["alg", "crv", "kid", "kty", "use", "x"]
    assert (key["kty"], key["crv"], key["alg"], key["use"]) == ("OKP", "Ed25519", "EdDSA", "sig")


def test_two_tokens_of_one_user_are_told_apart(auth: Any, user: dict[str, Any]) -> None:
    tokens = [auth.log_in("padma-textiles", user["username"]).body["access_token"] for _ in range(2)]
    assert tokens[0] != tokens[1]


def test_internal_users_are_said_to_be_internal(auth: Any, users: list[dict[str, Any]]) -> None:
    internal = next(user for user in users if user["internal"])
    answer = auth.log_in(internal["tenant_id"], internal["username"])
    assert me(auth, answer.body["access_token"]).body["internal"] is True


def test_me_tells_the_bearer_what_he_is(auth: Any, user: dict[str, Any], token: str) -> None:
    answer = me(auth, token)
    assert (answer.status, answer.body) == (
        200,
        {
            "id": user["id"],
            "tenant": user["tenant_id"],
            "roles": user["roles"],
            "permissions": permissions_of(user["roles"]),
            "internal": user["internal"],
        },
    )


def test_a_wrong_password_and_an_unknown_user_and_an_unknown_tenant_look_alike(
    auth: Any, user: dict[str, Any], nobody: str
) -> None:
    tried = [
        auth.log_in("padma-textiles", user["username"], "wrong"),
        auth.log_in("padma-textiles", user["username"], ""),
        auth.log_in("padma-textiles", nobody),
        auth.log_in(nobody, user["username"]),
        auth.log_in("meghna-foods", nobody),
        auth.log_in("' OR true --", user["username"]),
    ]
    assert [(answer.status, answer.body) for answer in tried] == [(401, WRONG)] * 6
    assert len({tuple(sorted(answer.headers)) for answer in tried}) == 1


def test_after_five_failures_even_the_right_password_has_to_wait(auth: Any, user: dict[str, Any]) -> None:
    for _ in range(5):
        assert auth.log_in("padma-textiles", user["username"], "wrong").status == 401
    answer = auth.log_in("padma-textiles", user["username"])
    assert (answer.status, answer.body["code"]) == (429, "too-many-attempts")
    assert 800 < int(answer.headers["retry-after"]) <= 901


def test_a_tenants_id_and_its_name_are_no_two_tries_and_tell_nobody_who_exists(
    auth: Any, user: dict[str, Any], nobody: str
) -> None:
    for username in (user["username"], nobody):
        tried = [
            auth.log_in(tenant, username, "wrong").status
            for tenant in ("padma-textiles", user["tenant_id"]) * 4
        ]
        assert tried == [401] * 5 + [429] * 3


def test_somebody_unknown_has_to_wait_as_well(auth: Any, nobody: str) -> None:
    codes = [auth.log_in("padma-textiles", nobody).status for _ in range(6)]
    assert codes == [401] * 5 + [429]


def test_many_guesses_at_once_are_no_more_than_five(auth: Any, user: dict[str, Any]) -> None:
    with ThreadPoolExecutor(20) as pool:
        guesses = [
            pool.submit(auth.log_in, "padma-textiles", user["username"], f"guess {n}") for n in range(40)
        ]
        codes = sorted(guess.result().status for guess in guesses)
    assert codes == [401] * 5 + [429] * 35


def test_a_slash_does_not_make_one_user_of_two(auth: Any, nobody: str) -> None:
    for _ in range(5):
        auth.log_in(nobody, "rahim/karim")
    assert auth.log_in(nobody, "rahim/karim").status == 429
    assert auth.log_in(f"{nobody}/rahim", "karim").status == 401


def test_a_success_forgives_earlier_failures(auth: Any, user: dict[str, Any]) -> None:
    for _ in range(2):
        for _ in range(4):
            auth.log_in("padma-textiles", user["username"], "wrong")
        assert auth.log_in("padma-textiles", user["username"]).status == 200


@pytest.mark.parametrize(
    "body",
    [
        None,
        "",
        "no json",
        "[]",
        '"text"',
        "null",
        {"tenant": "t", "username": "u"},
        {"tenant": "t", "username": "u", "password": 5},
        {"tenant": None, "username": "u", "password": "p"},
        {"tenant": ["t"], "username": "u", "password": "p"},
        {"tenant": "t", "username": "u\0", "password": "p"},
        {"tenant": "t", "username": "u", "password": "p" * 20_000},
        b'{"tenant": "\xff", "username": "u", "password": "p"}',
    ],
    ids=lambda body: str(body)[:40].replace("\0", "NUL"),
)
def test_a_malformed_log_in_is_refused_as_such(auth: Any, body: object) -> None:
    answer = auth.call("POST", "/auth/login", body)
    assert (answer.status, answer.body["code"]) == (400, "login-malformed")


def test_a_revoked_token_is_refused_and_listed_and_others_are_not(auth: Any, user: dict[str, Any]) -> None:
    one, other = (auth.log_in("padma-textiles", user["username"]).body["access_token"] for _ in range(2))
    for _ in range(2):
        assert me(auth, other).status == 200
    answer = auth.call("POST", "/auth/revoke", authorization=f"Bearer {one}")
    assert answer.status == 200
    assert answer.body["revoked"] in auth.call("GET", "/auth/revoked").body["revoked"]
    again = auth.call("POST", "/auth/revoke", authorization=f"Bearer {one}")
    for refused in (me(auth, one), again):
        assert (refused.status, refused.body["code"]) == (401, "token-invalid")
    assert me(auth, other).status == 200


@pytest.mark.parametrize(("method", "path"), [("GET", "/auth/me"), ("POST", "/auth/revoke")])
def test_whoever_is_not_known_is_refused_with_the_reason(
    auth: Any, user: dict[str, Any], method: str, path: str
) -> None:
    ours = load_key(Path(auth.settings["AUTH_SIGNING_KEY_FILE"]))
    forged = OKPKey.generate_key("Ed25519", {"kid": ours.kid})
    found = [
        auth.call(method, path, **({} if token is None else {"authorization": f"Bearer {token}"}))
        for token in (
            None,
            "no token",
            signed(forged, user, ago=timedelta()),
            signed(ours, user, issuer="another", ago=timedelta()),
            signed(ours, user, ago=timedelta(hours=2)),
            signed(ours, user, ago=timedelta(hours=-2)),
            unsigned(signed(ours, user, ago=timedelta())),
            signed_with_what_is_published(ours, signed(ours, user, ago=timedelta())),
            changed(signed(ours, user, ago=timedelta()), tenant=str(uuid4())),
        )
    ]
    assert [(answer.status, answer.body["code"]) for answer in found] == [
        (401, "token-missing"),
        (401, "token-invalid"),
        (401, "token-invalid"),
        (401, "token-invalid"),
        (401, "token-expired"),
        (401, "token-invalid"),
        (401, "token-invalid"),
        (401, "token-invalid"),
        (401, "token-invalid"),
    ]


def test_health_and_metrics_tell_how_it_does(auth: Any, user: dict[str, Any], token: str) -> None:
    health = auth.call("GET", "/health")
    assert (health.status, health.body) == (
        200,
        {"service": "auth", "status": "ready", "checks": {"database": "ok", "token keys": "ok"}},
    )
    metrics = auth.call("GET", "/metrics").body
    assert 'auth_logins_total{outcome="done"}' in metrics
    assert 'route="/auth/login"' in metrics
    assert user["username"] not in metrics


def test_a_token_that_cannot_be_taken_back_is_no_token(auth: Any, user: dict[str, Any]) -> None:
    ours = load_key(Path(auth.settings["AUTH_SIGNING_KEY_FILE"]))
    claims = jwt.decode(signed(ours, user, ago=timedelta()), ours, registry=SIGNATURES).claims
    for name in (None, "", "no id", 5):
        said = {key: value for key, value in {**claims, "jti": name}.items() if value is not None}
        token = jwt.encode({"alg": "EdDSA", "kid": ours.kid}, said, ours, registry=SIGNATURES)
        answer = me(auth, token)
        assert (answer.status, answer.body["code"]) == (401, "token-invalid")


@contextmanager
def without_database(cluster: Cluster, auth: Any) -> Iterator[None]:
    """Nobody is connected to the service's database, and nobody can be."""
    name = auth.settings["AUTH_DATABASE_URL"].rpartition("/")[2]
    cluster.run_sql("postgres", f"ALTER DATABASE {name} CONNECTION LIMIT 0;")
    ended = f"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '{name}';"
    cluster.run_sql("postgres", ended)
    try:
        yield
    finally:
        cluster.run_sql("postgres", f"ALTER DATABASE {name} CONNECTION LIMIT -1;")


def test_a_database_that_is_away_is_a_fault_with_a_code_and_in_the_log_without_a_secret(
    cluster: Cluster, auth: Any, user: dict[str, Any], token: str
) -> None:
    with without_database(cluster, auth):
        faults = [auth.log_in("padma-textiles", user["username"]), me(auth, token)]
        faults.append(auth.call("GET", "/auth/revoked"))
        live, ready = auth.call("GET", "/health/live"), auth.call("GET", "/health/ready")
        keys = auth.call("GET", "/auth/.well-known/jwks.json")
    told = {"code": "database-unavailable", "message": "the database does not answer; try again"}
    assert [(answer.status, answer.body) for answer in faults] == [(503, told)] * 3
    assert (live.status, keys.status, ready.status) == (200, 200, 503)
    assert list(ready.body["failed"]) == ["database"]
    log = (auth.folder / "logs" / "auth.log").read_text()
    lines = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    assert {(line["service"], line["event"], line["level"]) for line in lines} == {
        ("auth", "database away", "error")
    }
    url = urlsplit(auth.settings["AUTH_DATABASE_URL"])
    for secret in (auth.password, token, token.rpartition(".")[2], url.password, user["username"]):
        assert secret
        assert secret not in log
    assert auth.log_in("padma-textiles", user["username"]).status == 200


async def test_keys_that_cannot_be_read_are_a_fault_and_no_refusal(tmp_path: Path) -> None:
    generate_key(tmp_path / "key.pem")
    away = Auth(
        users=Users(None),  # type: ignore[arg-type]
        passwords=Passwords(memory_kib=64, time_cost=1),
        attempts=Attempts(),
        key=load_key(tmp_path / "key.pem"),
        verifier=TokenVerifier(issuer="tranche-auth", jwks_url="http://127.0.0.1:1/keys"),
        issuer="tranche-auth",
        token_lifetime_s=3600,
        new_id=uuid4,
    )
    told: list[Any] = []
    headers = [(b"authorization", b"Bearer a.b.c")]
    scope = {"type": "http", "method": "GET", "path": "/auth/me", "query_string": b"", "headers": headers}

    async def receive() -> dict[str, Any]:
        return {"type": "http.request"}

    async def send(message: Any) -> None:
        told.append(message)

    await application(away)(scope, receive, send)
    assert (told[0]["status"], json.loads(told[1]["body"])["code"]) == (503, "keys-unavailable")


def test_every_code_of_its_own_is_answered_for_real_with_the_status_that_the_docs_say(
    auth: Any, nobody: str
) -> None:
    root = Path(__file__).resolve().parents[3]
    rows = [row.split("|") for row in (root / "docs" / "refusals.md").read_text().splitlines()]
    documented = {row[2].strip(" `"): int(row[3]) for row in rows if row[1:2] == [" auth "]}
    source = (root / "packages" / "auth" / "src" / "auth" / "app.py").read_text()
    assert documented.keys() == set(re.findall(r"refused\(\d+, \"([a-z-]+)\"", source))
    answered = {
        (answer.body["code"], answer.status)
        for answer in (
            auth.call("POST", "/auth/login", []),
            *(auth.log_in("padma-textiles", nobody) for _ in range(6)),
        )
    }
    faults = {"keys-unavailable", "database-unavailable"}
    assert answered == {(code, status) for code, status in documented.items() if code not in faults}
