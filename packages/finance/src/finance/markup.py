"""XML from strangers, read into plain nodes.

A document type is refused before anything of it is used: without one there are no entities but XML's own five, so
nothing grows, and nothing outside the text is looked at (what the library defusedxml guards against). Depth and number
of the elements are bounded.
"""

from dataclasses import dataclass, field
from typing import Final
from xml.parsers import expat

from finance.bank_refusal import BankFileMalformed

DEEPEST: Final = 40
MOST_ELEMENTS: Final = 200_000


@dataclass(slots=True)
class Node:
    """An element without its namespace: its name, its attributes, the text and the elements in it."""

    name: str
    attributes: dict[str, str]
    text: str = ""
    inner: "list[Node]" = field(default_factory=list)

    def all(self, path: str) -> "list[Node]":
        """The elements at a path such as Acct/Id."""
        found = [self]
        for name in path.split("/"):
            found = [one for node in found for one in node.inner if one.name == name]
        return found

    def told(self, path: str) -> str:
        """The text of the first element at a path, without blanks around it; nothing when there is none."""
        return next((one.text.strip() for one in self.all(path)), "")


def parse(content: bytes) -> Node:
    """The outermost element.

    Raises:
        BankFileMalformed: it is not well-formed, has a document type, or is too large.
    """
    top = Node("", {})
    open_: list[Node] = [top]
    count = 0

    def begin(name: str, attributes: dict[str, str]) -> None:
        nonlocal count
        count += 1
        if count > MOST_ELEMENTS or len(open_) > DEEPEST:
            raise BankFileMalformed(f"Expected at most {MOST_ELEMENTS} elements, {DEEPEST} deep.")
        node = Node(name.rpartition(" ")[2], attributes)
        open_[-1].inner.append(node)
        open_.append(node)

    def end(_: str) -> None:
        open_.pop()

    def text(data: str) -> None:
        open_[-1].text += data

    def refuse(*_: object) -> None:
        raise BankFileMalformed("A document type (DOCTYPE) is not read.")

    reader = expat.ParserCreate(namespace_separator=" ")
    reader.StartElementHandler, reader.EndElementHandler = begin, end
    reader.CharacterDataHandler, reader.StartDoctypeDeclHandler = text, refuse
    reader.buffer_text = True
    try:
        reader.Parse(content, True)
    except expat.ExpatError as error:
        raise BankFileMalformed(f"It is not whole XML ({error}).") from None
    except (LookupError, ValueError) as error:
        raise BankFileMalformed(f"Its encoding cannot be read ({error}).") from None
    return top.inner[0]
