"""What editors are given as the language says what the parser says: no plan of ours is marked, mistakes are."""

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from tranche import cli, language
from tranche.shape import FileRefused

PLANS = Path(__file__).resolve().parents[3] / "plans"
REFERENCE = (PLANS / "reference.yaml").read_text()


class Editor(yaml.SafeLoader):
    """YAML 1.2, as editors read it: a date is a text, and 22:00 is no number."""


Editor.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in known if not tag.endswith(("timestamp", "int"))]
    for first, known in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
Editor.add_implicit_resolver("tag:yaml.org,2002:int", re.compile(r"-?\d+$"), list("-0123456789"))


@pytest.fixture(scope="module")
def schema() -> jsonschema.Draft202012Validator:
    """As the command prints it."""
    document = json.loads(json.dumps(language.json_schema()))
    jsonschema.Draft202012Validator.check_schema(document)
    return jsonschema.Draft202012Validator(document)


def marks(schema: jsonschema.Draft202012Validator, text: str) -> list[str]:
    loaded: Any = yaml.load(text, Loader=Editor)
    return [error.message for error in schema.iter_errors(loaded)]


def test_the_command_prints_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["plan", "schema"]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads(json.dumps(language.json_schema()))


@pytest.mark.parametrize("path", sorted(PLANS.glob("*.yaml")), ids=lambda path: path.name)
def test_no_plan_of_ours_is_marked(schema: jsonschema.Draft202012Validator, path: Path) -> None:
    assert marks(schema, path.read_text()) == []


MISTAKES = [
    ("tick: 5s", "tack: 5s"),
    ("tick: 5s", "tick: 5"),
    ("tick: 5s", "tick: five seconds"),
    ("name: reference ", "name: Reference One "),
    ("name: reference ", "nam: reference "),
    ("share_tolerance: 3 %", "share_tolerance: 3"),
    ("retire_blue: never", "retire_blue: sometimes"),
    ("step_backs: 2", "step_backs: two"),
    ("step_backs: 2", "step_backs: -1"),
    ("limit: errors > 1 %", "limit: errors < 1 %"),
    ("limit: errors > 1 %", "limit: uptime > 1 %"),
    ("answer: step_back", "answer: panic"),
    ("harm_budget: 200 requests", "harm_budget: 200"),
    ("harm_budget: 200 requests", "harm_budget: 0 requests"),
    ("from: fri 16:00", "from: friday 16:00"),
    ("until: mon 08:00", "until: mon 25:00"),
    ("zone: Europe/Berlin ", "zone: 2 "),
    ("kind: http ", "kind: htp "),
    ('      url: "{green_url}/health/ready"', '      link: "{green_url}/health/ready"'),
    ("times: 3 ", "times: 0 "),
    ("at: end", "at: noon"),
    ("on_fail: hold", "on_fail: shrug"),
    ("    weight: 10 %", "    weight: 10"),
    ("    dwell: 48h", "    dwel: 48h"),
    ("      - restarts < 1", "      - crashes < 1"),
    ('bound: "< 100"', 'bound: "about 100"'),
    ("method: POST ", "method: LOOK "),
    ("status: 201 ", "status: 9 "),
    ("expires: 24h", "expires: tomorrow"),
]


@pytest.mark.parametrize(("right", "wrong"), MISTAKES, ids=[wrong.strip() for _, wrong in MISTAKES])
def test_a_mistake_is_marked_and_the_parser_refuses_it_too(
    schema: jsonschema.Draft202012Validator, right: str, wrong: str
) -> None:
    assert right in REFERENCE
    text = REFERENCE.replace(right, wrong, 1)

    assert marks(schema, text)
    with pytest.raises(FileRefused):
        language.parse(text, file="p.yaml")


def test_a_plan_without_phases_or_with_none_is_marked(schema: jsonschema.Draft202012Validator) -> None:
    assert marks(schema, "name: p\n")
    assert marks(schema, "name: p\nphases: []\n")
    assert not marks(schema, "name: p\nphases: [{name: all, weight: 100 %, dwell: 1h}]\n")


@pytest.mark.parametrize("about", ["", "42", "true", "words", "'a: b'"])
def test_what_the_parser_takes_for_words_is_not_marked(
    schema: jsonschema.Draft202012Validator, about: str
) -> None:
    text = f"name: p\nabout: {about or repr(about)}\nphases: [{{name: all, weight: 100 %, dwell: 1h}}]\n"

    language.parse(text, file="p.yaml")
    assert marks(schema, text) == []
