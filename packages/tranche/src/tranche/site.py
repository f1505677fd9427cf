"""Where the parts of one installation are. Plans do not know it; `tranche.wiring` builds adapters from it.

Relative directories are meant from the folder of the site file.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import yaml

from tranche.ports import Colour
from tranche.secret import Secret, SecretKind
from tranche.shape import (
    ADDRESS,
    ANYTHING,
    URL,
    Choice,
    Flag,
    Key,
    Later,
    ListOf,
    MapOf,
    MissingKey,
    Place,
    Record,
    Text,
    Unreadable,
    Whole,
    WrongValue,
    read,
)
from tranche.text import PLACEHOLDER
from tranche.webhook import Webhook, webhook_keys

if TYPE_CHECKING:
    from tranche.routes import Route
    from tranche.shape import Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Whose tokens tell users apart: `jwks` is the address of the issuer's published keys."""

    issuer: str
    audience: str
    jwks: str
    user_claim: str = "sub"
    internal_claim: str = "internal"


@dataclass(frozen=True, slots=True, kw_only=True)
class Passthrough:
    """Paths that are routed before the split and not counted. `address` is host:port."""

    prefix: str
    address: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TrafficSite:
    """The data plane. `admin` is a URL, `listen` and `colours` are host:port.

    Without an `identity` nobody is known by a token: everybody is a visitor, told apart by a cookie. `drain_s` is how
    long requests under way are waited for before the version that answers them is stopped. `read_only` are paths whose
    GET and HEAD change nothing: copies of those may be sent to green.
    """

    kind: str
    directory: Path
    admin: str
    listen: str
    colours: Mapping[Colour, str]
    health_path: str
    identity: Identity | None = None
    passthrough: tuple[Passthrough, ...] = ()
    access_log: Path | None = None
    drain_s: float = 20.0
    read_only: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ColourSite:
    """How one colour is run. Not `managed`: somebody else starts and stops it, the engine only asks.

    `command` and `environment` may hold `{version}` and `{colour}`. `ready` is a URL that answers 200.
    """

    ready: str
    managed: bool = True
    address: str | None = None
    command: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    grace_s: float = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentSite:
    """Where versions run. All that was started ends when the process `lifeline_pid` ends.

    `artifact` is the file that says what a version is, with `{version}` in its path; its digest is kept as evidence.
    """

    kind: str
    directory: Path
    colours: Mapping[Colour, ColourSite]
    lifeline_pid: int | None = None
    artifact: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PrometheusSite:
    """Where queries are asked. `url` may have a path; `token` is sent as a bearer's, where one is needed."""

    url: str
    token: Secret | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ScannerSite:
    """A security scanner. In its words `{version}` is what it scans, `{report}` the file it must write; without that
    its standard output is the report. With other codes than `exits` it has told nothing.
    """

    command: tuple[str, ...]
    format: str
    exits: tuple[int, ...] = (0, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProofSite:
    """A test program. In its words `{url}` is green's own address, `{version}` what runs there."""

    command: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class GateSite:
    """What this installation lends to gates: `{variables}` for their settings, and their environment."""

    variables: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    prometheus: PrometheusSite | None = None
    webhooks: Mapping[str, Webhook] = field(default_factory=dict)
    targets: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)
    scanners: Mapping[str, ScannerSite] = field(default_factory=dict)
    proofs: Mapping[str, ProofSite] = field(default_factory=dict)
    rehearsals: Mapping[str, Path] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessSite:
    """Where this site asks for tokens: the file that holds their hashes."""

    tokens: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class EventLogSite:
    """Where the event log is: a file in the state folder, or PostgreSQL, for several controllers with one lease."""

    kind: str = "sqlite"
    url: Secret | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """One installation. `state_directory` keeps rollout.sqlite, record.md, status.json and the locks.

    `signing_key` is an ed25519 private key (PEM): it signs the evidence of every decision.
    """

    state_directory: Path
    traffic: TrafficSite
    environment: EnvironmentSite
    gates: GateSite = field(default_factory=GateSite)
    signing_key: Secret | None = None
    event_log: EventLogSite = field(default_factory=EventLogSite)
    notify: "Mapping[str, Route]" = field(default_factory=dict)
    access: AccessSite | None = None


URL_PATH: Final = Text(expected="a path such as /health/ready", pattern=r"/\S*")
COLOURS: Final = (Colour.BLUE.value, Colour.GREEN.value)
VALUE: Final = Text(expected="a value", pattern=ANYTHING)
DIRECTORY: Final = Text(expected="a folder")


@dataclass(frozen=True, slots=True)
class FolderKind:
    """A folder, meant from another one."""

    folder: Path

    def read(self, node: yaml.Node, file: str) -> Path:
        return self.folder / DIRECTORY.read(node, file)

    def schema(self) -> dict[str, object]:
        return DIRECTORY.schema()


def _identity(*, place: Place, **values: str) -> Identity:  # noqa: ARG001 - every record is given its place
    return Identity(**values)


def _passthrough(*, place: Place, **values: str) -> Passthrough:  # noqa: ARG001 - as _identity
    return Passthrough(**values)


def _colour(*, place: Place, managed: bool, command: tuple[str, ...], **values: object) -> ColourSite:
    if managed and not command:
        told = "'command' is missing (the program of this colour); add it, or write 'managed: false'"
        raise MissingKey(place, told)
    return ColourSite(managed=managed, command=command, **values)  # type: ignore[arg-type]  # read by kind


def _gates(*, place: Place, **values: Any) -> GateSite:  # noqa: ARG001 - as _identity
    return GateSite(**values)


def _webhook(*, place: Place, **values: Any) -> Webhook:  # noqa: ARG001 - as _identity
    return Webhook(**values)


def _event_log(*, place: Place, kind: str, url: Secret | None) -> EventLogSite:
    if (kind == "postgres") != (url is not None):
        told = "an event log in postgres has a 'url', and one in sqlite has none"
        raise MissingKey(place, f"{told}; write kind: postgres and url: {{file: PATH}}, or neither")
    return EventLogSite(kind=kind, url=url)


def _prometheus(*, place: Place, **values: Any) -> PrometheusSite:  # noqa: ARG001 - as _identity
    return PrometheusSite(**values)


def _scanner(*, place: Place, command: tuple[str, ...], **values: Any) -> ScannerSite:
    words = {name for word in command for name in PLACEHOLDER.findall(word)}
    if "version" not in words:
        told = "a scan of what? '{version}' is missing in the scanner's command"
        raise MissingKey(place, f"{told}; name what it scans by the version")
    unknown = sorted(words - {"version", "report"})
    if unknown:
        told = f"a scanner's command knows {{version}} and {{report}}, found {{{unknown[0]}}}"
        raise WrongValue(place, f"{told}; write it out")
    return ScannerSite(command=command, **values)


def _proof(*, place: Place, command: tuple[str, ...]) -> ProofSite:
    unknown = sorted({name for word in command for name in PLACEHOLDER.findall(word)} - {"url", "version"})
    if unknown:
        told = f"a proof's command knows {{url}} and {{version}}, found {{{unknown[0]}}}"
        raise WrongValue(place, f"{told}; write it out")
    return ProofSite(command=command)


def _shape(folder: Path) -> Record[Site]:
    """The declaration of the whole file; `folder` is what relative directories are meant from."""

    def traffic(*, place: Place, colours: Mapping[str, str], **values: object) -> TrafficSite:  # noqa: ARG001 - as above
        access_log = values.pop("access_log")
        return TrafficSite(
            colours={Colour(key): value for key, value in colours.items()},
            directory=folder / str(values.pop("directory")),
            access_log=folder / str(access_log) if access_log else None,
            **values,  # type: ignore[arg-type]  # read by kind
        )

    def environment(
        *,
        place: Place,  # noqa: ARG001 - as above
        colours: Mapping[str, ColourSite],
        directory: str,
        artifact: str | None,
        **values: object,
    ) -> EnvironmentSite:
        return EnvironmentSite(
            colours={Colour(key): value for key, value in colours.items()},
            directory=folder / directory,
            artifact=folder / artifact if artifact else None,
            **values,  # type: ignore[arg-type]  # read by kind
        )

    def access(*, place: Place, tokens: str) -> AccessSite:  # noqa: ARG001 - as above
        return AccessSite(tokens=folder / tokens)

    def site(*, place: Place, state_directory: str, **values: object) -> Site:  # noqa: ARG001 - as above
        return Site(state_directory=folder / state_directory, **values)  # type: ignore[arg-type]  # read by kind

    event_log = {
        "kind": Key(Choice(("sqlite", "postgres")), "a file in the state folder, or a database", "sqlite"),
        "url": Key(SecretKind(folder), "the database, postgresql://..., with its password", None),
    }
    return Record(
        site,
        {
            "state_directory": Key(DIRECTORY, "the engine's own folder: event log, record, status, locks"),
            "traffic": Key(Record(traffic, TRAFFIC), "the data plane"),
            "environment": Key(Record(environment, ENVIRONMENT), "where versions run"),
            "gates": Key(Later(lambda: Record(_gates, gates_of(folder))), "what gates are lent", GateSite()),
            "event_log": Key(Record(_event_log, event_log), "where the event log is", EventLogSite()),
            "signing_key": Key(SecretKind(folder), "signs the evidence: an ed25519 private key, PEM", None),
            "access": Key(
                Record(access, ACCESS), "asks whoever comes for a token; else nobody is asked", None
            ),
            "notify": Key(Later(lambda: _routes(folder)), "who is told the news, and how, by name", {}),
        },
    )


ACCESS: Final = {"tokens": Key(Text(expected="a file"), "the file of tokens, made by 'tranche token create'")}
IDENTITY: Final = {
    "issuer": Key(Text(), "the issuer whose tokens count"),
    "audience": Key(Text(), "the audience they must name"),
    "jwks": Key(URL, "where the issuer publishes its keys"),
    "user_claim": Key(Text(), "the claim that names the user", "sub"),
    "internal_claim": Key(Text(), "the claim that is true for people of the company", "internal"),
}
PASSTHROUGH: Final = {
    "prefix": Key(URL_PATH, "paths that begin so"),
    "address": Key(ADDRESS, "go there, uncounted"),
}
TRAFFIC: Final = {
    "kind": Key(Choice(("envoy",)), "the technology"),
    "directory": Key(DIRECTORY, "bootstrap.json and the folders rds, cds, lds"),
    "admin": Key(URL, "the data plane's administration address"),
    "listen": Key(ADDRESS, "where users arrive"),
    "identity": Key(Record(_identity, IDENTITY), "whose tokens tell users apart; else a cookie does", None),
    "read_only": Key(
        ListOf(URL_PATH), "paths whose GET and HEAD change nothing: green may be sent copies", ()
    ),
    "colours": Key(MapOf(ADDRESS, keys=COLOURS), "where each colour listens"),
    "health_path": Key(URL_PATH, "asked on each colour, twice a second"),
    "passthrough": Key(ListOf(Record(_passthrough, PASSTHROUGH)), "routed before the split", ()),
    "access_log": Key(Text(expected="a file"), "one JSON line a request, when given", None),
    "drain_s": Key(
        Whole(most=3600), "seconds requests under way may take before their version is stopped", 20
    ),
}
COLOUR: Final = {
    "ready": Key(URL, "answers 200 when the colour can take users"),
    "managed": Key(Flag(), "whether the engine starts and stops it", default=True),
    "address": Key(ADDRESS, "where it listens", None),
    "command": Key(ListOf(Text(expected="a word of a command")), "the program that runs it", ()),
    "environment": Key(MapOf(VALUE), "settings of that program", {}),
    "grace_s": Key(Whole(most=3600), "seconds it may take to finish its requests", 10),
}
ARTIFACT: Final = Text(expected="a file with {version} in its path", pattern=r".*\{version\}.*")
ENVIRONMENT: Final = {
    "kind": Key(Choice(("process",)), "the technology"),
    "directory": Key(DIRECTORY, "its pid files and logs"),
    "lifeline_pid": Key(Whole(least=1), "everything ends when this process ends", None),
    "artifact": Key(ARTIFACT, "the file a version is started from; its digest says what it is", None),
    "colours": Key(MapOf(Record(_colour, COLOUR), keys=COLOURS), "how each colour is run"),
}


def _routes(folder: Path) -> "Kind[dict[str, Route]]":
    from tranche.routes import routes_of

    return routes_of(folder)


def _targets(folder: Path) -> "Kind[tuple[Any, ...]]":
    from tranche.gate_kinds import request, request_keys
    from tranche.secret import TextOrSecret

    return ListOf(Record(request, request_keys(TextOrSecret(folder))), empty="a target needs a request")


def _scanners() -> "Kind[ScannerSite]":
    from tranche.scan import FORMATS

    keys = {
        "command": Key(ListOf(Text(expected="a word of a command"), empty="name a program"), "its words"),
        "format": Key(Choice(FORMATS), "what its report is written in"),
        "exits": Key(ListOf(Whole(most=255)), "the codes it ends with when it has looked", (0, 1)),
    }
    return Record(_scanner, keys)


def gates_of(folder: Path) -> dict[str, Key]:
    """What gates are lent; files of secrets are meant from `folder`."""
    prometheus = {
        "url": Key(URL, "the address, with its path prefix if it has one"),
        "token": Key(SecretKind(folder), "sent as a bearer token", None),
    }
    proof = {
        "command": Key(ListOf(Text(expected="a word of a command"), empty="name a program"), "its words")
    }
    return {
        "variables": Key(MapOf(VALUE), "what {names} in a gate's settings stand for", {}),
        "environment": Key(MapOf(VALUE), "environment of gate programs; may be secret", {}),
        "prometheus": Key(Record(_prometheus, prometheus), "where queries are asked", None),
        "webhooks": Key(MapOf(Record(_webhook, webhook_keys(folder))), "other systems, by name", {}),
        "scanners": Key(MapOf(Later(_scanners)), "security scanners, by name", {}),
        "proofs": Key(
            MapOf(Record(_proof, proof)), "test programs that prove properties of green, by name", {}
        ),
        "rehearsals": Key(MapOf(FolderKind(folder)), "state folders of sites that rehearse, by name", {}),
        "targets": Key(MapOf(Later(lambda: _targets(folder))), "requests of load tests, by name", {}),
    }


def parse(text: str, *, file: str) -> Site:
    """The site of this text.

    Raises:
        FileRefused: with file, line, what was found and what to do.
    """
    return read(_shape(Path(file).resolve().parent), text, file)


def load(path: Path) -> Site:
    """As `parse`.

    Raises:
        FileRefused: also when there is no such file.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        told = f"the site file cannot be read ({error}); give --site or set TRANCHE_SITE"
        raise Unreadable(Place(file=str(path), line=1), told) from error
    return parse(text, file=str(path))


def json_schema() -> dict[str, object]:
    """The language of site files as JSON Schema, for editors."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Tranche site"} | _shape(
        Path()
    ).schema()
