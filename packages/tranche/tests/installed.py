"""A site in a folder, as the command line finds it; nothing of it runs."""

from collections.abc import Callable
from pathlib import Path

from tranche import language
from tranche.wiring import Installation

PLANS = Path(__file__).resolve().parents[3] / "plans"

BARE = """\
state_directory: state
traffic:
  kind: envoy
  directory: envoy
  admin: http://127.0.0.1:9
  listen: 127.0.0.1:9
  identity: {issuer: auth, audience: tranche, jwks: "http://127.0.0.1:9/jwks.json"}
  colours: {blue: "127.0.0.1:9", green: "127.0.0.1:9"}
  health_path: /health/ready
environment:
  kind: process
  directory: environment
  colours:
    blue: {managed: false, ready: "http://127.0.0.1:9/"}
    green: {ready: "http://127.0.0.1:9/", command: [serve]}
"""
"""What every site has; the rest is what a test is about."""

SITE = BARE + 'gates: {proofs: {books: {command: ["true"]}, reading: {command: ["true"]}}}\n'

Run = Callable[..., tuple[int, str, str]]


def begin(here: Installation) -> None:
    path = PLANS / "finance-demo.yaml"
    plan, text = language.load(path)
    here.desk.start(plan, text=text, file=path.name, version="1.1.0", actor="ann")
