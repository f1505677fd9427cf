"""Runs one GraphQL request: parsed and validated once per text, then executed, then told by HTTP status.

200 an answer (a refusal is one), 400 a request that cannot be understood, 403 not allowed, 500 a fault: the data
plane counts faults without knowing GraphQL (docs/decisions/0004).
"""

from collections.abc import Mapping
from functools import lru_cache
from inspect import isawaitable
from typing import Any

from graphql import (
    DocumentNode,
    ExecutionResult,
    GraphQLError,
    GraphQLSchema,
    execute,
    parse,
    specified_rules,
    validate,
)
from graphql.validation import NoSchemaIntrospectionCustomRule

from finance.graphql.context import Context
from finance.graphql.cost import Limits, QueryTooCostly, QueryTooDeep
from finance.graphql.federation import NoSubgraphRule
from finance.graphql.permission import PermissionMissing
from finance.ports import Fault
from finance.refusal import Refused, TenantUnknown
from kit.telemetry import log

MOST_TOKENS = 2_000
MOST_ERRORS = 5
REMEMBERED = 1_000


class Executor:
    """Executes requests against one schema."""

    def __init__(self, schema: GraphQLSchema, *, introspection: bool, limits: Limits | None = None) -> None:
        self._schema = schema
        self._limits = limits or Limits()
        hidden = () if introspection else (NoSchemaIntrospectionCustomRule, NoSubgraphRule)
        self._rules = [*specified_rules, *hidden]
        self._prepared = lru_cache(maxsize=REMEMBERED)(self._prepare)

    def _prepare(self, text: str) -> DocumentNode | tuple[GraphQLError, ...]:
        try:
            document = parse(text, max_tokens=MOST_TOKENS, no_location=True)
            errors = validate(self._schema, document, self._rules, max_errors=MOST_ERRORS)
        except GraphQLError as error:
            return (error,)
        return tuple(errors) if errors else document

    async def run(self, request: object, context: Context) -> tuple[int, dict[str, Any]]:
        """The status and the body that answer a request's JSON."""
        if not isinstance(request, dict) or not isinstance(request.get("query"), str):
            return 400, failed("request-malformed", 'expected {"query": "...", "variables": {...}}')
        variables = request.get("variables")
        if variables is not None and not isinstance(variables, Mapping):
            return 400, failed("request-malformed", "expected variables to be an object")
        prepared = self._prepared(request["query"])
        if isinstance(prepared, tuple):
            return 400, {"errors": [told(error, "request-invalid") for error in prepared]}
        name, given = request.get("operationName"), dict(variables or {})
        try:
            self._limits.admit(self._schema, prepared, name, given)
        except (QueryTooDeep, QueryTooCostly) as error:
            return 400, {"errors": [told(error, error.code)]}
        result = execute(
            self._schema, prepared, context_value=context, variable_values=given, operation_name=name
        )
        return answered(await result if isawaitable(result) else result)


def answered(result: ExecutionResult) -> tuple[int, dict[str, Any]]:
    """Status and body of a result. The gravest error gives the status."""
    if not result.errors:
        return 200, {"data": result.data}
    statuses, errors = zip(*(judged(error) for error in result.errors), strict=True)
    return max(statuses), {"data": result.data, "errors": list(errors)}


def judged(error: GraphQLError) -> tuple[int, dict[str, Any]]:
    if error.path is None:  # nothing was executed: the variables are not what the operation expects
        return 400, told(error, "request-invalid")
    cause = error.original_error
    match cause:
        case PermissionMissing():
            return 403, told(error, "permission-missing")
        case TenantUnknown():
            return 403, told(error, cause.code)
        case Refused():
            return 400, told(error, cause.code)
        case Fault():
            log().warning("fault", code=cause.code, error=str(cause))
            return 500, told(error, cause.code)
        case None if (error.extensions or {}).get("code") == "permission-missing":
            return 403, told(error, "permission-missing")
        case None:
            return 400, told(error, "request-invalid")
        case _:
            log().error("bug", error=f"{type(cause).__name__}: {cause}", exc_info=cause)
            hidden = {"message": "the service failed; try again", "extensions": {"code": "internal"}}
            return 500, {**hidden, "path": error.path}


def told(error: GraphQLError, code: str) -> dict[str, Any]:
    return {"message": error.message, "path": error.path, "extensions": {"code": code}}


def failed(code: str, message: str) -> dict[str, Any]:
    return {"errors": [{"message": message, "extensions": {"code": code}}]}
