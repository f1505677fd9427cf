"""The site file: where things are, refused with file and line when it cannot be."""

import re
from pathlib import Path

import pytest

from tranche import site
from tranche.ports import Colour
from tranche.secret import Secret
from tranche.shape import FileRefused

GOOD = """\
state_directory: state
traffic:
  kind: envoy
  directory: envoy
  admin: http://127.0.0.1:19000
  listen: 127.0.0.1:18080
  identity: {issuer: auth, audience: tranche, jwks: "http://127.0.0.1:1/jwks.json"}
  colours: {blue: "127.0.0.1:18101", green: "127.0.0.1:18102"}
  health_path: /health/ready
  passthrough: [{prefix: /auth/, address: "127.0.0.1:1"}]
environment:
  kind: process
  directory: /elsewhere
  lifeline_pid: 4711
  colours:
    blue: {managed: false, ready: "http://127.0.0.1:18101/health/ready"}
    green:
      ready: http://127.0.0.1:18102/health/ready
      command: [serve, "{version}"]
      environment: {PORT: 18102, EMPTY: ""}
gates:
  variables: {ledger: main}
  prometheus: {url: "http://127.0.0.1:9090", token: {file: token}}
"""


def test_a_site_means_what_it_says(tmp_path: Path) -> None:
    found = site.parse(GOOD, file=str(tmp_path / "site.yaml"))

    assert found.state_directory == tmp_path / "state"
    assert found.traffic.directory == tmp_path / "envoy"
    assert found.environment.directory == Path("/elsewhere")
    assert found.environment.artifact is None
    told = site.parse(
        GOOD.replace("lifeline_pid: 4711", 'artifact: "r/{version}.tar"'), file=str(tmp_path / "s")
    )
    assert told.environment.artifact == tmp_path / "r" / "{version}.tar"
    assert found.traffic.colours[Colour.GREEN] == "127.0.0.1:18102"
    assert found.environment.colours[Colour.GREEN].environment == {"PORT": "18102", "EMPTY": ""}
    assert found.environment.colours[Colour.GREEN].command == ("serve", "{version}")
    assert not found.environment.colours[Colour.BLUE].managed
    assert found.gates.variables == {"ledger": "main"}
    assert found.gates.prometheus is not None
    assert found.gates.prometheus.token == Secret(file=tmp_path / "token")


@pytest.mark.parametrize(
    ("found", "instead", "line", "told"),
    [
        ("health_path:", "helth_path:", 9, "did you mean 'health_path'?"),
        ("kind: envoy", "kind: nginx", 3, "use one of: envoy"),
        ('green: "127.0.0.1:18102"}', 'red: "127.0.0.1:18102"}', 8, "unknown key 'red'"),
        ("listen: 127.0.0.1:18080", "listen: everywhere", 6, "an address such as 127.0.0.1:8080"),
        ("admin: http://127.0.0.1:19000", "admin: 127.0.0.1:19000", 5, "http://"),
        ("  health_path: /h", "  read_only: [reports]\n  health_path: /h", 9, "a path such as /health/ready"),
        ("  health_path: /h", "  drain_s: 1h\n  health_path: /h", 9, "expected a whole number, found '1h'"),
        ('      command: [serve, "{version}"]\n', "", 18, "write 'managed: false'"),
        ("lifeline_pid: 4711", "lifeline_pid: 0", 14, "at least 1"),
        ("lifeline_pid: 4711", "artifact: a.tar", 14, "expected a file with {version} in its path"),
        ("managed: false", "managed: no", 16, "expected true or false"),
        (', green: "127.0.0.1:18102"}', "}", 8, "'green' is missing"),
        ("{file: token}", "hush", 23, "a secret does not stand here; write {file: PATH}"),
        ("{file: token}", "{}", 23, "a secret is in one place"),
        ("{file: token}", "{file: a, environment: B}", 23, "a secret is in one place"),
        ("{file: token}", '{environment: "A B"}', 23, "the name of a variable"),
        (
            "gates:\n",
            "event_log: {kind: postgres}\ngates:\n",
            21,
            "write kind: postgres and url: {file: PATH}",
        ),
        ("gates:\n", "event_log: {url: {file: url}}\ngates:\n", 21, "one in sqlite has none"),
        ("gates:\n", "signing_key: -----BEGIN\ngates:\n", 21, "a secret does not stand here"),
    ],
)
def test_what_cannot_be_is_refused_with_file_and_line(found: str, instead: str, line: int, told: str) -> None:
    assert found in GOOD

    with pytest.raises(FileRefused) as refused:
        site.parse(GOOD.replace(found, instead), file="site.yaml")

    assert str(refused.value).startswith(f"site.yaml:{line}: ")
    assert told in str(refused.value)


def test_a_missing_site_says_how_to_name_one(tmp_path: Path) -> None:
    with pytest.raises(FileRefused, match="give --site or set TRANCHE_SITE"):
        site.load(tmp_path / "none.yaml")


def test_the_reference_shows_every_key_and_is_a_site(tmp_path: Path) -> None:
    path = Path(__file__).resolve().parents[3] / "docs" / "site-reference.yaml"
    keys = declared_keys(site.json_schema())

    assert {"traffic", "jwks", "prometheus", "token"} <= keys
    for key in keys:
        assert re.search(rf"\b{key}:", path.read_text()), f"docs/site-reference.yaml does not show '{key}'"
    assert site.load(path).gates.prometheus is not None


def declared_keys(schema: object) -> set[str]:
    match schema:
        case dict():
            own = set(schema.get("properties", {}))
            return own.union(*(declared_keys(value) for value in schema.values()))
        case list():
            return set().union(*(declared_keys(value) for value in schema))
        case _:
            return set()
