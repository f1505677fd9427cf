"""Envoy's configuration, as documents made from a site and a split.

What changes during a rollout is one file, the route configuration: weights, salt and internal users change
together, in one rename. Everything else is written once.

How a user is told apart: our headers are taken off every request before a first route is chosen, so that nobody
can forge them; a header mutation carried by the route configuration sets the salt, and a filter behind it has the route
chosen again; `jwt_authn` then checks the token, puts its subject into a header, and makes Envoy choose the route anew;
the weighted route hashes both headers.
A token that does not verify leaves no such header, and is for the service to refuse. Visitors without
a token get a cookie whose value is the very request id that their first request was hashed by; where a site names no
identity, everybody is such a visitor.

Green's arms are aggregates of green's hosts and blue's: when no green host is healthy, users are on blue without
anybody deciding anything.
"""

import json
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from tranche.adapters.durable import write_atomically
from tranche.ports import TOTAL_WEIGHT, Arm, Colour, Split
from tranche.site import Identity, TrafficSite

ROUTES = "app"
STAT_PREFIX = "ingress"
SALT_HEADER = "x-tranche-salt"
USER_HEADER = "x-tranche-user"
INTERNAL_HEADER = "x-tranche-internal"
ARM_HEADER = "x-tranche-arm"
MIRROR_HEADER = "x-tranche-mirrored"
"""Says to a service that this is a copy, whose answer nobody gets."""
VISITOR_COOKIE = "tranche-visitor"
VISITOR_DAYS = 30

FASTER_THAN_MS: Final = {
    5: 4,
    10: 9,
    20: 19,
    50: 49,
    100: 99,
    200: 190,
    300: 290,
    500: 490,
    1000: 990,
    2000: 1900,
    5000: 4900,
}
"""What is meant, and the bucket edge that means it: Envoy keeps two significant digits and counts a bin by its
lower end, so that `le=290` holds everything below 300 ms."""

ROUTE_TIMEOUT_S = 15
CHECK_S = 0.5
UNHEALTHY_AFTER = 2
FLUSH_S = 0.5
API = "type.googleapis.com/envoy"
Json = dict[str, Any]

READS: Final[list[Json]] = [
    {"name": ":method", "string_match": {"safe_regex": {"regex": "GET|HEAD"}}},
    {"name": "x-http-method-override", "present_match": False},
    {"name": "x-http-method", "present_match": False},
    {"name": "x-method-override", "present_match": False},
]
"""What may be copied at all: methods that are safe by RFC 9110 (9.2.1), and that no header makes another of. What a
client says of a POST is not believed: a copy of one that changes something would change it twice."""

COPIES_AT_ONCE: Final = 64
"""A green that hangs must not tie up the data plane: more copies than this are not sent, and count as failed."""

GREEN_HOSTS = {Arm.GREEN: "green_hosts", Arm.INTERNAL: "green_internal_hosts"}
FALLBACK = "blue_fallback"
ROOM: Json = {"thresholds": [{"max_connections": 1024, "max_pending_requests": 1024, "max_retries": 1024}]}
"""Envoy's own limit is three retries at a time, of the aggregate: too few when green dies under load."""


def address(place: str) -> Json:
    host, _, port = place.rpartition(":")
    return {"socket_address": {"address": host, "port_value": int(port)}}


def seconds(value: float) -> str:
    return f"{value:g}s"


def typed(message: str, /, **fields: object) -> Json:
    return {"@type": f"{API}.{message}", **fields}


def cluster(name: str, place: str, **fields: object) -> Json:
    """A cluster of one fixed host. Connections are given up quickly: it is on the same network."""
    endpoint = {"endpoint": {"address": address(place)}}
    return {
        "name": name,
        "type": "STATIC",
        "connect_timeout": "1s",
        "circuit_breakers": ROOM,
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [endpoint]}]},
        **fields,
    }


def health_check(path: str) -> Json:
    """Asked twice a second whether there is traffic or not: an unused green must be known to be dead, too."""
    return {
        "timeout": "2s",
        "interval": seconds(CHECK_S),
        "no_traffic_interval": seconds(CHECK_S),
        "no_traffic_healthy_interval": seconds(CHECK_S),
        "unhealthy_threshold": UNHEALTHY_AFTER,
        "healthy_threshold": 1,
        "http_health_check": {"path": path},
    }


def aggregate(name: str, hosts: str) -> Json:
    parts = typed("extensions.clusters.aggregate.v3.ClusterConfig", clusters=[hosts, FALLBACK])
    return {
        "name": name,
        "connect_timeout": "1s",
        "circuit_breakers": ROOM,
        "lb_policy": "CLUSTER_PROVIDED",
        "cluster_type": {"name": "envoy.clusters.aggregate", "typed_config": parts},
    }


def jwks_cluster(identity: Identity) -> Json:
    parts = urlsplit(identity.jwks)
    return cluster("jwks", f"{parts.hostname}:{parts.port or 80}")


def clusters(site: TrafficSite) -> list[Json]:
    """Every cluster. Each arm has one of its own, so that each is counted by itself."""
    blue, green = site.colours[Colour.BLUE], site.colours[Colour.GREEN]
    check = [health_check(site.health_path)]
    no_panic = {"healthy_panic_threshold": {"value": 0}}
    found = [
        cluster(Arm.BLUE.value, blue, health_checks=check),
        cluster(Arm.CONTROL.value, blue),
        cluster(FALLBACK, blue),
    ]
    if site.identity is not None:
        found.append(jwks_cluster(site.identity))
    for arm, hosts in GREEN_HOSTS.items():
        found.append(cluster(hosts, green, health_checks=check, common_lb_config=no_panic))
        found.append(aggregate(arm.value, hosts))
    room = dict.fromkeys(("max_connections", "max_pending_requests", "max_requests"), COPIES_AT_ONCE)
    found.append(cluster(Arm.MIRROR.value, green, circuit_breakers={"thresholds": [room]}))
    found += [cluster(f"passthrough_{n}", one.address) for n, one in enumerate(site.passthrough)]
    return found


def hash_policy(*others: Json) -> list[Json]:
    return [{"header": {"header_name": SALT_HEADER}}, *others]


def weighted(split: Split) -> Json:
    weights = {
        Arm.GREEN: split.green_weight,
        Arm.BLUE: TOTAL_WEIGHT - split.green_weight - split.control_weight,
        Arm.CONTROL: split.control_weight,
    }
    return {
        "use_hash_policy": True,
        "clusters": [
            {"name": arm.value, "weight": weight, "response_headers_to_add": [arm_header(arm)]}
            for arm, weight in weights.items()
        ],
    }


def arm_header(arm: Arm) -> Json:
    return {
        "header": {"key": ARM_HEADER, "value": arm.value},
        "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
    }


def retry_policy() -> Json:
    """Only what certainly never reached a service is tried again, and then not on the same host."""
    previous = "envoy.retry_host_predicates.previous_hosts"
    other = "envoy.retry_priorities.previous_priorities"
    return {
        "retry_on": "connect-failure,refused-stream,reset-before-request",
        "num_retries": 2,
        "retry_host_predicate": [
            {
                "name": previous,
                "typed_config": typed("extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"),
            }
        ],
        "retry_priority": {
            "name": other,
            "typed_config": typed(
                "extensions.retry.priority.previous_priorities.v3.PreviousPrioritiesConfig",
                update_frequency=1,
            ),
        },
        "host_selection_retry_max_attempts": 3,
    }


def action(split: Split, *policies: Json) -> Json:
    return {
        "timeout": seconds(ROUTE_TIMEOUT_S),
        "weighted_clusters": weighted(split),
        "hash_policy": hash_policy(*policies),
        "retry_policy": retry_policy(),
    }


def routes(site: TrafficSite, split: Split) -> list[Json]:
    """In order: what is not split, internal users, known users, returning visitors, new visitors."""
    found: list[Json] = [
        {
            "match": {"prefix": one.prefix},
            "route": {"cluster": f"passthrough_{number}", "timeout": seconds(ROUTE_TIMEOUT_S)},
        }
        for number, one in enumerate(site.passthrough)
    ]
    if split.internal_to_green:
        internal = {"name": INTERNAL_HEADER, "string_match": {"exact": "true"}}
        found.append(
            {
                "match": {"prefix": "/", "headers": [internal]},
                "route": {
                    "cluster": Arm.INTERNAL.value,
                    "timeout": seconds(ROUTE_TIMEOUT_S),
                    "retry_policy": retry_policy(),
                },
                "response_headers_to_add": [arm_header(Arm.INTERNAL)],
            }
        )
    known = {"name": USER_HEADER, "present_match": True}
    returning = {"name": "cookie", "string_match": {"contains": f"{VISITOR_COOKIE}="}}
    attributes = f"Path=/; Max-Age={VISITOR_DAYS * 86400}; HttpOnly; SameSite=Lax"
    cookie = f"{VISITOR_COOKIE}=%REQ(x-request-id)%; {attributes}"
    for route in (
        {
            "match": {"prefix": "/", "headers": [known]},
            "route": action(split, {"header": {"header_name": USER_HEADER}}),
        },
        {
            "match": {"prefix": "/", "headers": [returning]},
            "route": action(split, {"cookie": {"name": VISITOR_COOKIE}}),
        },
        {
            "match": {"prefix": "/"},
            "route": action(split, {"header": {"header_name": "x-request-id"}}),
            "response_headers_to_add": [{"header": {"key": "set-cookie", "value": cookie}}],
        },
    ):
        found += [*copied(site, split, route), route]
    return found


def copied(site: TrafficSite, split: Split, route: Json) -> list[Json]:
    """The same route for reads that green is sent copies of; nothing where none are to be sent."""
    if not split.mirror_percent:
        return []
    headers = [*route["match"].get("headers", []), *READS]
    return [
        {
            **route,
            "match": {"prefix": prefix, "headers": headers},
            "route": {**route["route"], "request_mirror_policies": [mirror_policy(split)]},
        }
        for prefix in site.read_only
    ]


def mirror_policy(split: Split) -> Json:
    """Fire and forget: a user's answer is blue's, and waits for nothing of this."""
    mark = {
        "header": {"key": MIRROR_HEADER, "value": "true"},
        "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
    }
    share = {"numerator": round(split.mirror_percent * 100), "denominator": "TEN_THOUSAND"}
    return {
        "cluster": Arm.MIRROR.value,
        "runtime_fraction": {"default_value": share},
        "disable_shadow_host_suffix_append": True,
        "request_headers_mutations": [{"append": mark}],
    }


def route_configuration(site: TrafficSite, split: Split) -> Json:
    """The one resource that changes. Its version is the split's identifier, which Envoy shows once it serves it."""
    salt = {
        "append": {
            "header": {"key": SALT_HEADER, "value": split.salt},
            "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
        }
    }
    mutation = typed(
        "extensions.filters.http.header_mutation.v3.HeaderMutationPerRoute",
        mutations={"request_mutations": [salt]},
    )
    host = {
        "name": ROUTES,
        "domains": ["*"],
        "routes": routes(site, split),
        "typed_per_filter_config": {"envoy.filters.http.header_mutation": mutation},
    }
    resource = typed(
        "config.route.v3.RouteConfiguration", name=ROUTES, virtual_hosts=[host], validate_clusters=True
    )
    return {"version_info": split.identifier, "resources": [resource]}


def jwt_authn(identity: Identity) -> Json:
    provider = {
        "issuer": identity.issuer,
        "audiences": [identity.audience],
        "forward": True,
        "remote_jwks": {
            "http_uri": {"uri": identity.jwks, "cluster": "jwks", "timeout": "2s"},
            "cache_duration": "300s",
            "async_fetch": {"fast_listener": True},
        },
        "claim_to_headers": [
            {"header_name": USER_HEADER, "claim_name": identity.user_claim},
            {"header_name": INTERNAL_HEADER, "claim_name": identity.internal_claim},
        ],
        "clear_route_cache": True,
    }
    anybody = {
        "requires_any": {"requirements": [{"provider_name": "issuer"}, {"allow_missing_or_failed": {}}]}
    }
    return typed(
        "extensions.filters.http.jwt_authn.v3.JwtAuthentication",
        providers={"issuer": provider},
        rules=[{"match": {"prefix": "/"}, "requires": anybody}],
    )


def routed_anew() -> Json:
    """Has the route chosen again, now that the salt is there: who has no token is hashed with it, too.

    The state it sets means nothing; that it changes is what makes Envoy forget the first choice.
    """
    salted = {
        "object_key": "tranche.salted",
        "factory_key": "envoy.string",
        "format_string": {"text_format_source": {"inline_string": "yes"}},
    }
    return typed(
        "extensions.filters.http.set_filter_state.v3.Config",
        on_request_headers=[salted],
        clear_route_cache=True,
    )


def checks_of_tokens(site: TrafficSite) -> list[Json]:
    """None where the site names nobody whose tokens count: then everybody is a visitor."""
    if site.identity is None:
        return []
    return [{"name": "envoy.filters.http.jwt_authn", "typed_config": jwt_authn(site.identity)}]


def unforged() -> Json:
    """Takes our headers off what comes in, before anything looks at them."""
    ours = (SALT_HEADER, USER_HEADER, INTERNAL_HEADER, MIRROR_HEADER)
    return typed(
        "extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation",
        mutations=[{"remove": name} for name in ours],
    )


def connection_manager(site: TrafficSite, directory: Path) -> Json:
    folder = str(directory / "rds")
    manager: Json = {
        "stat_prefix": STAT_PREFIX,
        "use_remote_address": True,
        "generate_request_id": True,
        "preserve_external_request_id": False,
        "early_header_mutation_extensions": [
            {"name": "envoy.http.early_header_mutation.header_mutation", "typed_config": unforged()}
        ],
        "rds": {
            "route_config_name": ROUTES,
            "config_source": {
                "resource_api_version": "V3",
                "path_config_source": {"path": f"{folder}/rds.json", "watched_directory": {"path": folder}},
            },
        },
        "http_filters": [
            {
                "name": "envoy.filters.http.header_mutation",
                "typed_config": typed("extensions.filters.http.header_mutation.v3.HeaderMutation"),
            },
            {"name": "envoy.filters.http.set_filter_state", "typed_config": routed_anew()},
            *checks_of_tokens(site),
            {
                "name": "envoy.filters.http.router",
                "typed_config": typed("extensions.filters.http.router.v3.Router"),
            },
        ],
    }
    if site.access_log is not None:
        manager["access_log"] = [access_log(site.access_log)]
    return typed(
        "extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        **manager,
    )


def access_log(path: Path) -> Json:
    line = {
        "at": "%START_TIME%",
        "arm": "%RESP(x-tranche-arm)%",
        "user": f"%REQ({USER_HEADER})%",
        "status": "%RESPONSE_CODE%",
        "flags": "%RESPONSE_FLAGS%",
        "duration_ms": "%DURATION%",
    }
    shown = typed(
        "extensions.access_loggers.file.v3.FileAccessLog", path=str(path), log_format={"json_format": line}
    )
    return {"name": "envoy.access_loggers.file", "typed_config": shown}


def bootstrap(site: TrafficSite) -> Json:
    """What Envoy is started with; never changed."""
    chain = {
        "filters": [
            {
                "name": "envoy.filters.network.http_connection_manager",
                "typed_config": connection_manager(site, site.directory),
            }
        ]
    }
    edges = {
        "match": {"suffix": "upstream_rq_time"},
        "buckets": [float(edge) for edge in sorted(FASTER_THAN_MS.values())],
    }
    return {
        "node": {"id": "tranche", "cluster": "tranche"},
        "admin": {"address": address(urlsplit(site.admin).netloc)},
        "stats_flush_interval": seconds(FLUSH_S),
        "stats_config": {"histogram_bucket_settings": [edges]},
        "static_resources": {
            "listeners": [
                {
                    "name": "ingress",
                    "address": address(site.listen),
                    "filter_chains": [chain],
                }
            ],
            "clusters": clusters(site),
        },
    }


def write_routes(site: TrafficSite, split: Split) -> None:
    """Replace the route configuration in one rename.

    Raises:
        OSError: the file cannot be written; the one before it stands.
    """
    document = json.dumps(route_configuration(site, split), indent=1)
    write_atomically(site.directory / "rds" / "rds.json", document)


def write_all(site: TrafficSite, split: Split) -> None:
    """Write everything Envoy starts with.

    Raises:
        OSError: the folder cannot be written.
    """
    (site.directory / "rds").mkdir(parents=True, exist_ok=True)
    write_routes(site, split)
    write_bootstrap(site)


def write_bootstrap(site: TrafficSite) -> None:
    """Write what Envoy is started with, and leave the routes as they are.

    Raises:
        OSError: the folder cannot be written.
    """
    write_atomically(site.directory / "bootstrap.json", json.dumps(bootstrap(site), indent=1))
