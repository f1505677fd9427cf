"""What the rules refuse of a bank's files, lines and matches; as `refusal`, one class per rule."""

from finance.refusal import Refused


class BankFileMalformed(Refused):
    """A bank's file is read whole or not at all, and this one cannot be."""

    code = "bank-file-malformed"


class BankFileUntied(Refused):
    """The lines of this file do not lead from its opening to its closing balance."""

    code = "bank-file-untied"


class BankLineContradicts(Refused):
    """The bank told this line before, and told it otherwise."""

    code = "bank-line-contradicts"


class BankLineMatched(Refused):
    """This line is matched already; undo that match first."""

    code = "bank-line-matched"


class BankLineNotMatched(Refused):
    """This line is matched with nothing."""

    code = "bank-line-not-matched"


class BankMatchUntied(Refused):
    """Lines of a match are the same money as its payments and entries, on the same account."""

    code = "bank-match-untied"


class PaymentMatched(Refused):
    """This payment is matched with a bank's line; undo that match first."""

    code = "payment-matched"


class JournalMatched(Refused):
    """This entry is matched with a bank's line; undo that match first."""

    code = "journal-matched"
