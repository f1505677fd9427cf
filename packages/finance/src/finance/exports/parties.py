"""Who makes a document out, and who it is for, as it says on it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Issuer:
    """The company. `tax_form` is the legal name of its tax invoices, where it has taken over a tax pack."""

    name: str
    address: str | None = None
    tin: str | None = None
    bin: str | None = None
    tax_form: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Partner:
    """A customer or vendor, as master data knows it; of one it does not know there is only the id."""

    id: str
    name: str | None = None
    tin: str | None = None
    bin: str | None = None
