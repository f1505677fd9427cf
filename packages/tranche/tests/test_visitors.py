"""A site that knows nobody by a token: everybody is a visitor."""

import json
from pathlib import Path
from typing import Any

from tranche import language
from tranche import site as sites
from tranche.adapters.envoy_config import bootstrap
from tranche.site import Site
from tranche.wiring import findings

SITE: dict[str, Any] = {
    "state_directory": "state",
    "traffic": {
        "kind": "envoy",
        "directory": "envoy",
        "admin": "http://127.0.0.1:1",
        "listen": "127.0.0.1:2",
        "colours": {"blue": "127.0.0.1:3", "green": "127.0.0.1:4"},
        "health_path": "/health",
    },
    "environment": {
        "kind": "process",
        "directory": "environment",
        "colours": {
            "blue": {"managed": False, "ready": "http://127.0.0.1:3/"},
            "green": {"command": ["serve"], "ready": "http://127.0.0.1:4/"},
        },
    },
}
IDENTITY = {"issuer": "i", "audience": "a", "jwks": "http://127.0.0.1:5/jwks"}
PLAN = """\
name: p
phases:
  - {name: few, weight: 10 %, internal_users_first: 1h, dwell: 1h}
  - {name: all, weight: 100 %, dwell: 1h}
"""


def site(**traffic: object) -> Site:
    document = {**SITE, "traffic": {**SITE["traffic"], **traffic}}
    return sites.parse(json.dumps(document), file=str(Path("/site.yaml")))


def test_without_an_identity_envoy_looks_at_no_token_and_asks_nobody_for_keys() -> None:
    for known, is_there in ((site(), False), (site(identity=IDENTITY), True)):
        written = json.dumps(bootstrap(known.traffic))
        assert ("jwt_authn" in written) is is_there
        assert ('"jwks"' in written) is is_there


def test_a_plan_that_sends_internal_users_first_is_refused_where_nobody_is_known() -> None:
    plan = language.parse(PLAN, file="p.yaml")

    refused = [each for each in findings(plan, site()) if each.code == "not-here"]
    assert [each.line for each in refused] == [3]
    assert "add 'traffic.identity'" in refused[0].message
    assert findings(plan, site(identity=IDENTITY)) == []
