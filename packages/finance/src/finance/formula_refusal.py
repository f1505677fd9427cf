"""What is refused of a formula; as `refusal`, one class per rule."""

from finance.refusal import Refused


class FormulaMalformed(Refused):
    """A formula has amounts, names, + - * / and parentheses, and nothing else."""

    code = "formula-malformed"


class FormulaTooComplex(Refused):
    """A formula is short, and not deep."""

    code = "formula-too-complex"


class FormulaNameUnknown(Refused):
    """A formula uses only the names that it is given."""

    code = "formula-name-unknown"


class FormulaDividesByZero(Refused):
    """The formula divides by zero."""

    code = "formula-divides-by-zero"


class FormulaOverflows(Refused):
    """The formula comes to more than any amount."""

    code = "formula-overflows"
