"""What master data refuses: the request was understood and the rules say no; nothing was written."""


class Refused(Exception):
    """The request was understood and the rules say no; `code` is stable."""

    code = "refused"


class Malformed(Refused):
    """A field is missing or is not what it must be."""

    code = "record-malformed"


class Unclear(Refused):
    """The request cannot be read: an identifier, a number, or the JSON around them."""

    code = "request-malformed"


class TooLarge(Refused):
    """The body is larger than anything that would be accepted."""

    code = "request-too-large"


class Forbidden(Refused):
    """The token does not carry the permission that this needs."""

    code = "permission-missing"


class TenantUnknown(Refused):
    """The token is good, but what it names cannot be a tenant."""

    code = "tenant-unknown"


class TenantMismatch(Refused):
    """A header names another tenant than the token does."""

    code = "tenant-mismatch"


class Unknown(Refused):
    """This tenant has no such record."""

    code = "record-unknown"


class UnknownKind(Refused):
    """There is no such kind of record."""

    code = "kind-unknown"


class Taken(Refused):
    """Another record of this tenant has this code."""

    code = "record-exists"
