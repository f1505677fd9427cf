"""A token is believed when its issuer signed it, for us, for now; anything else is refused, each in its way."""

import asyncio
import base64
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web
from joserfc import jws, jwt
from joserfc.jwk import OctKey, OKPKey

from kit import tokens
from kit.tokens import (
    AUDIENCE,
    LEEWAY_S,
    SIGNATURES,
    Identity,
    KeysUnavailable,
    TokenExpired,
    TokenInvalid,
    TokenMissing,
    TokenRefused,
    TokenVerifier,
)

ISSUER = "the-issuer"
TENANT = "0b9c4e9a-7a1b-5a55-9d0c-6f4c0b1f2a33"


def new_key(kid: str) -> OKPKey:
    return OKPKey.generate_key("Ed25519", {"kid": kid, "use": "sig", "alg": "EdDSA"})


def claims(**changes: Any) -> dict[str, Any]:
    now = int(time.time())
    said = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "rahim",
        "tenant": TENANT,
        "roles": ["auditor"],
        "permissions": ["report:read"],
        "internal": True,
        "jti": "token-1",
        "nbf": now,
        "exp": now + 60,
        **changes,
    }
    return {name: value for name, value in said.items() if value is not None}


def bearer(key: OKPKey, **changes: Any) -> str:
    header = {"alg": "EdDSA", "kid": key.kid, "typ": "JWT"}
    said = json.dumps(claims(**changes)).encode()  # escaped, so that it may be what no text is
    return "Bearer " + jws.serialize_compact(header, said, key, registry=SIGNATURES)


def part(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


@dataclass
class Issuer:
    """Publishes keys over HTTP and counts how often they are asked for."""

    keys: list[OKPKey] = field(default_factory=lambda: [new_key("one")])
    body: object = None
    status: int = 200
    asked: int = 0
    url: str = ""

    async def answer(self, _: web.Request) -> web.Response:
        self.asked += 1
        published = {"keys": [key.as_dict(private=False) for key in self.keys]}
        return web.json_response(published if self.body is None else self.body, status=self.status)


@pytest.fixture
async def issuer() -> AsyncIterator[Issuer]:
    made = Issuer()
    app = web.Application()
    app.router.add_get("/keys", made.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}/keys"
    yield made
    await runner.cleanup()


@pytest.fixture
def verifier(issuer: Issuer) -> TokenVerifier:
    return TokenVerifier(issuer=ISSUER, jwks_url=issuer.url)


@pytest.fixture
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys may be read again at once."""
    monkeypatch.setattr(tokens, "REFRESH_S", 0.0)


async def refusal(verifier: TokenVerifier, header: str | None) -> TokenRefused:
    with pytest.raises(TokenRefused) as refused:
        await verifier.verify(header)
    return refused.value


async def test_a_token_of_the_issuer_tells_who_calls(issuer: Issuer, verifier: TokenVerifier) -> None:
    expires_at = int(time.time()) + 60
    assert await verifier.verify(bearer(issuer.keys[0], exp=expires_at)) == Identity(
        user_id="rahim",
        tenant_id=TENANT,
        roles=frozenset({"auditor"}),
        permissions=frozenset({"report:read"}),
        internal=True,
        token_id="token-1",
        expires_at=expires_at,
    )


async def test_only_true_itself_makes_a_user_internal(issuer: Issuer, verifier: TokenVerifier) -> None:
    for said in (None, False, 1, "true"):
        assert not (await verifier.verify(bearer(issuer.keys[0], internal=said))).internal


@pytest.mark.parametrize(
    ("claim", "said"),
    [
        *(
            (claim, said)
            for claim in ("sub", "tenant")
            for said in ("", "a" * 201, "a\0b", "a\nb", "\ud800", 5, True, ["rahim"], {"id": "rahim"})
        ),
        *(
            (claim, said)
            for claim in ("roles", "permissions")
            for said in (
                "report:read",
                5,
                {"report:read": True},
                [5],
                [["report:read"]],
                [None],
                [""],
                ["a" * 201],
            )
        ),
    ],
)
async def test_a_token_that_names_nobody_or_no_list_of_permissions_is_invalid(
    issuer: Issuer, verifier: TokenVerifier, claim: str, said: object
) -> None:
    told = await refusal(verifier, bearer(issuer.keys[0], **{claim: said}))
    assert told.code == "token-invalid"


async def test_a_name_may_have_200_letters_of_any_script(issuer: Issuer, verifier: TokenVerifier) -> None:
    for said in ("রহিম", "a" * 200, "Rahim Uddin"):
        assert (await verifier.verify(bearer(issuer.keys[0], sub=said))).user_id == said


async def test_the_scheme_is_read_whatever_its_case(issuer: Issuer, verifier: TokenVerifier) -> None:
    header = bearer(issuer.keys[0]).replace("Bearer", "bEARER")
    assert (await verifier.verify(header)).user_id == "rahim"


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer ", "Basic cmFoaW06c2VjcmV0", "token"])
async def test_without_a_bearer_token_the_caller_is_told_to_log_in(
    verifier: TokenVerifier, header: str | None
) -> None:
    refused = await refusal(verifier, header)
    assert (type(refused), refused.code) == (TokenMissing, "token-missing")
    assert str(refused).startswith("No bearer token came with the request; log in")


@pytest.mark.parametrize(
    "token", ["x", "a.b.c", "..", "é.é.é", "a" * 10_000, f"{part({'alg': 'EdDSA'})}.e30.e30"]
)
async def test_what_is_no_token_is_refused(verifier: TokenVerifier, token: str) -> None:
    refused = await refusal(verifier, f"Bearer {token}")
    assert (type(refused), refused.code) == (TokenInvalid, "token-invalid")


async def test_a_forged_signature_is_refused(verifier: TokenVerifier) -> None:
    forger = new_key("one")
    assert isinstance(await refusal(verifier, bearer(forger)), TokenInvalid)


async def test_a_token_that_was_changed_is_refused(issuer: Issuer, verifier: TokenVerifier) -> None:
    header, _, signature = bearer(issuer.keys[0]).split(".")
    changed = part(claims(tenant="another"))
    assert isinstance(await refusal(verifier, f"{header}.{changed}.{signature}"), TokenInvalid)


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE"])
async def test_a_token_that_nobody_signed_is_refused(verifier: TokenVerifier, algorithm: str) -> None:
    unsigned = f"{part({'alg': algorithm, 'kid': 'one'})}.{part(claims())}."
    assert isinstance(await refusal(verifier, f"Bearer {unsigned}"), TokenInvalid)


async def test_the_public_key_is_no_shared_secret(issuer: Issuer, verifier: TokenVerifier) -> None:
    public = issuer.keys[0]
    published = public.as_dict(private=False)["x"]
    assert isinstance(published, str)
    raw = base64.urlsafe_b64decode(published + "=" * (-len(published) % 4))
    for secret in (raw, public.as_pem(private=False), public.as_der(private=False), published.encode()):
        signed = f"{part({'alg': 'HS256', 'kid': 'one'})}.{part(claims())}"
        mac = hmac.new(secret, signed.encode(), hashlib.sha256).digest()
        signature = base64.urlsafe_b64encode(mac).rstrip(b"=").decode()
        assert isinstance(await refusal(verifier, f"Bearer {signed}.{signature}"), TokenInvalid)


async def test_a_shared_secret_among_the_published_keys_changes_nothing(
    issuer: Issuer, verifier: TokenVerifier
) -> None:
    shared = OctKey.import_key("a secret of thirty-two bytes or so", {"kid": "two"})
    issuer.body = {"keys": [issuer.keys[0].as_dict(private=False), shared.as_dict()]}
    token = jwt.encode({"alg": "HS256", "kid": "two"}, claims(), shared)
    assert isinstance(await refusal(verifier, f"Bearer {token}"), TokenInvalid)


@pytest.mark.parametrize(
    "change",
    [
        {"iss": "another"},
        {"iss": None},
        {"aud": "another"},
        {"aud": None},
        {"sub": None},
        {"tenant": None},
        {"exp": None},
        {"nbf": None},
        {"nbf": 4_000_000_000},
    ],
    ids=str,
)
async def test_a_token_for_others_or_for_later_or_with_a_claim_missing_is_refused(
    issuer: Issuer, verifier: TokenVerifier, change: dict[str, Any]
) -> None:
    refused = await refusal(verifier, bearer(issuer.keys[0], **change))
    assert (type(refused), refused.code) == (TokenInvalid, "token-invalid")


async def test_a_token_for_several_audiences_is_accepted_when_we_are_one(
    issuer: Issuer, verifier: TokenVerifier
) -> None:
    assert await verifier.verify(bearer(issuer.keys[0], aud=["another", AUDIENCE]))


async def test_an_expired_token_is_refused_as_expired(issuer: Issuer, verifier: TokenVerifier) -> None:
    long_ago = int(time.time()) - LEEWAY_S - 2
    refused = await refusal(verifier, bearer(issuer.keys[0], nbf=long_ago - 60, exp=long_ago))
    assert (type(refused), refused.code) == (TokenExpired, "token-expired")


async def test_clocks_may_differ_a_little(issuer: Issuer, verifier: TokenVerifier) -> None:
    now = int(time.time())
    assert await verifier.verify(bearer(issuer.keys[0], nbf=now + LEEWAY_S - 2, exp=now + 60))
    assert await verifier.verify(bearer(issuer.keys[0], nbf=now - 60, exp=now - LEEWAY_S + 3))


async def test_a_remembered_token_expires_all_the_same(
    issuer: Issuer, verifier: TokenVerifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    header = bearer(issuer.keys[0])
    await verifier.verify(header)
    now = time.time()
    monkeypatch.setattr(tokens.time, "time", lambda: now + 60 + LEEWAY_S + 1)
    for _ in range(2):
        assert isinstance(await refusal(verifier, header), TokenExpired)


async def test_no_more_tokens_are_remembered_than_there_is_room_for(
    issuer: Issuer, verifier: TokenVerifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokens, "REMEMBERED", 3)
    for number in range(10):
        await verifier.verify(bearer(issuer.keys[0], jti=str(number)))
    assert [identity.token_id for identity in verifier._known.values()] == ["7", "8", "9"]


async def test_keys_are_read_once_for_many_tokens(issuer: Issuer, verifier: TokenVerifier) -> None:
    await asyncio.gather(*(verifier.verify(bearer(issuer.keys[0], jti=str(n))) for n in range(20)))
    assert issuer.asked == 1


async def test_a_new_key_is_fetched_once_when_a_token_names_it(
    issuer: Issuer, verifier: TokenVerifier, no_pause: None
) -> None:
    await verifier.verify(bearer(issuer.keys[0]))
    issuer.keys = [new_key("two")]
    assert await verifier.verify(bearer(issuer.keys[0]))
    assert issuer.asked == 2


async def test_two_tokens_of_a_new_key_at_once_are_both_believed(
    issuer: Issuer, verifier: TokenVerifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokens, "REFRESH_S", 0.05)
    await verifier.verify(bearer(issuer.keys[0]))
    issuer.keys = [new_key("two")]
    verifier._asked_at -= 0.05
    found = await asyncio.gather(*(verifier.verify(bearer(issuer.keys[0], jti=str(n))) for n in range(5)))
    assert len(found) == 5


async def test_a_key_that_was_withdrawn_is_no_longer_believed(
    issuer: Issuer, verifier: TokenVerifier, no_pause: None
) -> None:
    old = issuer.keys[0]
    await verifier.verify(bearer(old))
    issuer.keys = [new_key("two")]
    await verifier.verify(bearer(issuer.keys[0]))
    assert isinstance(await refusal(verifier, bearer(old, jti="another")), TokenInvalid)


async def test_unknown_keys_do_not_make_us_ask_again_and_again(
    issuer: Issuer, verifier: TokenVerifier
) -> None:
    for _ in range(10):
        assert isinstance(await refusal(verifier, bearer(new_key("nobody's"))), TokenInvalid)
    assert issuer.asked == 1


async def test_an_issuer_that_is_away_is_not_asked_again_and_again(
    issuer: Issuer, verifier: TokenVerifier
) -> None:
    await verifier.verify(bearer(issuer.keys[0]))
    verifier._asked_at -= tokens.REFRESH_S
    issuer.status = 503
    for _ in range(10):
        assert isinstance(await refusal(verifier, bearer(new_key("nobody's"))), TokenInvalid)
    assert issuer.asked == 2


async def test_known_keys_outlive_their_issuer(
    issuer: Issuer, verifier: TokenVerifier, no_pause: None
) -> None:
    await verifier.verify(bearer(issuer.keys[0]))
    issuer.status = 500
    assert isinstance(await refusal(verifier, bearer(new_key("two"))), TokenInvalid)
    assert await verifier.verify(bearer(issuer.keys[0], jti="another"))


async def test_keys_that_cannot_be_read_are_a_fault_and_no_refusal(
    issuer: Issuer, verifier: TokenVerifier
) -> None:
    issuer.status = 503
    with pytest.raises(KeysUnavailable, match=f"keys expected at {issuer.url}: 503"):
        await verifier.verify(bearer(issuer.keys[0]))
    with pytest.raises(KeysUnavailable):
        await verifier.ready()
    issuer.status = 200
    await verifier.ready()
    assert await verifier.verify(bearer(issuer.keys[0]))


async def test_an_issuer_that_is_not_there_is_a_fault() -> None:
    with pytest.raises(KeysUnavailable, match=r"keys expected at http://127.0.0.1:1/keys"):
        await TokenVerifier(issuer=ISSUER, jwks_url="http://127.0.0.1:1/keys").ready()


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        "keys",
        {"keys": []},
        {"keys": {}},
        {"keys": ["x"]},
        {"keys": [1]},
        {"keys": [{}]},
        {"keys": [{"kty": "OKP"}]},
    ],
    ids=str,
)
async def test_an_answer_that_holds_no_keys_is_a_fault(
    issuer: Issuer, verifier: TokenVerifier, body: object
) -> None:
    issuer.body = body
    with pytest.raises(KeysUnavailable):
        await verifier.ready()
