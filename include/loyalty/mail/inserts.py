"""The inserts that a template may have beside Jinja2's own: values of definitions, attributes, and not to send.

{% expression %} name-or-UUID {% endexpression %}                       the value of an expression
{% expressionvar ID %}{{ expression_result }}{% endexpressionvar %}     the same, under a name
{% aggregate ID %}{{ aggregate_result[0] }}{% endaggregate %}           the value of an aggregate
{% customer attribute %}                                                an attribute that must be there
{% kill %}                                                              this message is not to be sent
"""

import re
from collections.abc import Callable
from typing import Any

from jinja2 import nodes
from jinja2.ext import Extension
from jinja2.parser import Parser
from jinja2.runtime import Context

# In the context of a template, under a name that a template itself cannot write.
VALUES = "the values"
_BARE_NAME = re.compile(r"""(\{%[-+]?\s*(?:expressionvar|aggregate|customer)\s+)([^\s"'%]+)(?=\s*[-+]?%\})""")


class MissingAttributeError(Exception):
    """The customer lacks an attribute that the message cannot do without."""


class KilledError(Exception):
    """The template says that this message is not to be sent."""


class Inserts(Extension):
    """Parses the inserts, and does what they say when a message is rendered."""

    tags = {"expression", "expressionvar", "aggregate", "customer", "kill"}  # noqa: RUF012 - Jinja2's own form

    def preprocess(self, source: str, name: str | None, filename: str | None = None) -> str:  # noqa: ARG002
        """Names and UUIDs may stand bare in a tag: a lexer would take ``83e1`` for a number."""
        return _BARE_NAME.sub(r'\1"\2"', source)

    def parse(self, parser: Parser) -> nodes.Node | list[nodes.Node]:
        """The nodes of the insert that begins here."""
        token = next(parser.stream)
        read: dict[str, Callable[[Parser, int], nodes.Node]] = {
            "expression": self._expression,
            "expressionvar": self._expressionvar,
            "aggregate": self._aggregate,
            "customer": self._customer,
            "kill": self._kill,
        }
        return read[token.value](parser, token.lineno)

    def _expression(self, parser: Parser, line: int) -> nodes.Node:
        return nodes.Output([self._call("value_of", _plain_text(parser, "endexpression", line), line)], lineno=line)

    def _expressionvar(self, parser: Parser, line: int) -> nodes.Node:
        value = self._call("value_of", _name(parser), line)
        return _under("expression_result", value, parser, "endexpressionvar", line)

    def _aggregate(self, parser: Parser, line: int) -> nodes.Node:
        results = nodes.List([self._call("value_of", _name(parser), line)])
        return _under("aggregate_result", results, parser, "endaggregate", line)

    def _customer(self, parser: Parser, line: int) -> nodes.Node:
        return nodes.Output([self._call("must_have", _name(parser), line)], lineno=line)

    def _kill(self, _parser: Parser, line: int) -> nodes.Node:
        return nodes.ExprStmt(self.call_method("not_to_be_sent", lineno=line), lineno=line)

    def _call(self, method: str, name: str, line: int) -> nodes.Call:
        return self.call_method(method, [nodes.ContextReference(), nodes.Const(name)], lineno=line)

    def value_of(self, context: Context, name: str) -> Any:
        """The value of a definition for this customer."""
        return context[VALUES][name]

    def must_have(self, context: Context, name: str) -> Any:
        """The customer's attribute; without it there is no message."""
        found = context["customer"][name]
        if found in (None, ""):
            raise MissingAttributeError(name)
        return found

    def not_to_be_sent(self) -> None:
        """Ends the rendering."""
        raise KilledError


def names_asked(template: nodes.Template) -> dict[str, int]:
    """The names and ids of definitions that the template asks for, each with the line of the first time."""
    found: dict[str, int] = {}
    for call in template.find_all(nodes.Call):
        if isinstance(call.node, nodes.ExtensionAttribute) and call.node.name == "value_of":
            found.setdefault(call.args[1].as_const(), call.lineno)
    return found


def _name(parser: Parser) -> str:
    return str(parser.stream.expect("string").value)


def _plain_text(parser: Parser, end: str, line: int) -> str:
    parts = [
        part
        for node in parser.parse_statements((f"name:{end}",), drop_needle=True)
        for part in (node.nodes if isinstance(node, nodes.Output) else [node])
    ]
    text = "".join(part.data if isinstance(part, nodes.TemplateData) else " " for part in parts).strip()
    if not text or not all(isinstance(part, nodes.TemplateData) for part in parts):
        parser.fail("between the tags stands the name or the UUID of a definition, and nothing else", line)
    return text


def _under(name: str, value: nodes.Expr, parser: Parser, end: str, line: int) -> nodes.Node:
    body = parser.parse_statements((f"name:{end}",), drop_needle=True)
    return nodes.With([nodes.Name(name, "param")], [value], body, lineno=line)
