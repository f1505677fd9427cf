"""What arguments mean that many fields have. Said once here, shown wherever the schema itself does not say more."""

from typing import Final

from graphql import GraphQLInputObjectType, GraphQLObjectType, GraphQLSchema, get_named_type

ARGUMENTS: Final = {
    "accountCode": "Four digits, then groups of two: 1110-01.",
    "accountId": "The account of the books that is kept for the bank.",
    "accountType": "Only accounts of this type.",
    "after": "The endCursor of the page before; from the beginning when none is given.",
    "asOf": "The last day counted.",
    "code": "The tax code.",
    "currency": "Not that of the books.",
    "customerId": "Only of this customer.",
    "documentId": "The invoice, bill or debit note.",
    "figure": "As a report gave it.",
    "first": "How many at most, 0 to 200.",
    "fiscalPeriod": "Such as FY2026-2027-P05.",
    "fiscalYear": "Such as FY2026-2027.",
    "id": "Its identifier.",
    "idempotencyKey": "1 to 200 characters, one key for each change. With the same key and input again, the mutation"
    " answers as before and writes nothing; with another input it is refused.",
    "invoiceId": "Only for this invoice.",
    "isActive": "Only accounts that something can be posted to, or that nothing can be posted to any more.",
    "isMatched": "Only lines that are matched, or that are not.",
    "journalId": "The entry.",
    "journalIds": "The entries they are, each once; with the payments as much money as the lines.",
    "journalType": "Only entries of this kind.",
    "kind": "Only of this kind.",
    "knownOn": "The record date: until the end of this day, UTC.",
    "limit": "How many at most, 0 to 200.",
    "lineIds": "Lines that a bank told, each once.",
    "offset": "How many to leave out first. What is written between two pages moves them: a connection does not.",
    "on": "The day that counts as today.",
    "partnerId": "Only of this customer or vendor.",
    "paymentIds": "The payments they are, each once; with the entries as much money as the lines.",
    "paymentMethod": "Only moved in this way.",
    "period": "Such as FY2026-2027-P05.",
    "reason": "Why, in at most 500 characters; it is kept.",
    "reversingDate": "The day of the reversing entry; not before that of the entry it takes back.",
    "status": "Only in this state.",
    "through": "The last day that is locked.",
    "to": "How far.",
}
"""By name. An argument that holds a whole input is described as that input is."""


def describe(schema: GraphQLSchema) -> None:
    """Describe the arguments that the schema leaves bare."""
    for kind in schema.type_map.values():
        if not isinstance(kind, GraphQLObjectType) or kind.name.startswith("__"):
            continue
        for field in kind.fields.values():
            for name, argument in field.args.items():
                given = get_named_type(argument.type)
                whole = given.description if isinstance(given, GraphQLInputObjectType) else None
                argument.description = argument.description or whole or ARGUMENTS.get(name)
