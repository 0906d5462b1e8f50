"""Jinja2 as a template may use it: strict, out of reach of Python's internals, and bounded in steps and in size."""

from collections.abc import Iterable, Iterator, MutableMapping, Sized
from functools import partial
from threading import local
from typing import Any

from jinja2 import BaseLoader, StrictUndefined, Template, TemplateSyntaxError, nodes, pass_context
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from markupsafe import Markup

from loyalty.mail.inserts import Inserts

MAX_STEPS = 100_000  # passes of loops, and calls
MAX_LENGTH = 1_000_000  # characters of a part of a message, and of any text on the way to it
MAX_BITS = 4_096  # of a whole number
_PADDING = {
    "center", "expandtabs", "format", "format_map", "join", "ljust", "replace", "rjust", "to_bytes", "translate",
    "zfill",
}  # fmt: skip
_UNBOUNDED_FILTERS = (
    "batch", "center", "format", "indent", "join", "pprint", "round", "slice", "tojson", "urlize", "wordwrap",
    "xmlattr",
)  # fmt: skip


class LimitError(Exception):
    """A template takes more steps, or makes a longer text, than any message needs."""


class Sandbox(ImmutableSandboxedEnvironment):
    """The environment of all templates; those whose names end in ``html.j2`` escape what they insert."""

    intercepted_binops = frozenset({"+", "*", "**", "%"})

    def __init__(self, loader: BaseLoader) -> None:
        super().__init__(
            loader=loader,
            undefined=StrictUndefined,
            autoescape=lambda name: bool(name and name.endswith("html.j2")),
            extensions=[Inserts, "jinja2.ext.loopcontrols"],
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
            cache_size=-1,
            auto_reload=False,
        )
        self._spent = local()
        del self.globals["lipsum"]
        for name in _UNBOUNDED_FILTERS:
            del self.filters[name]
        self.filters |= {_COUNTED: pass_context(partial(self._counted)), _SHORT: short, "replace": _replace}

    def rendered(self, template: Template, facts: dict[str, Any]) -> str:
        """What the template says of these facts; LimitError where it would go on and on."""
        self._spent.steps = 0
        parts, length = [], 0
        for part in template.generate(facts):
            parts.append(part)
            length += len(part)
            if length > MAX_LENGTH:
                raise LimitError(f"the text is longer than {MAX_LENGTH:,} characters")
        return "".join(parts)

    def make_globals(self, d: MutableMapping[str, Any] | None) -> MutableMapping[str, Any]:
        """A plain dict: a chain of two would be copied for each message more slowly than its facts are looked up."""
        return {**self.globals, **(d or {})}

    def getattr(self, obj: Any, attribute: str) -> Any:
        """The part of a fact is the item of this name, unless a dict itself has something of this name."""
        if type(obj) is dict and attribute not in _OF_EVERY_DICT and attribute in obj:
            return obj[attribute]
        return super().getattr(obj, attribute)

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        """No underscores, no internals, and nothing that pads a text to any length."""
        return super().is_safe_attribute(obj, attr, value) and not (
            isinstance(obj, str | bytes | int) and attr in _PADDING
        )

    def call(__self, __context: Context, __obj: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: N805 - as Jinja2 has it
        """A call that a template makes: a step."""
        __self._step(1)
        return super().call(__context, __obj, *args, **kwargs)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Arithmetic of numbers; of texts, what stays short."""
        if operator == "%" and isinstance(left, str):
            raise LimitError("texts are put together with ~, and not with %")
        if operator == "**" and _bits(left) * abs(right if isinstance(right, int) else 1) > MAX_BITS:
            raise LimitError("such a power is no number of points")
        if operator == "*":
            longest = max((len(one) for one in (left, right) if hasattr(one, "__len__")), default=0)
            count = next((one for one in (left, right) if isinstance(one, int)), 1)
            _check_length(longest * count)
            if _bits(left) + _bits(right) > MAX_BITS:
                raise LimitError("such a product is no number of points")
        return short(super().call_binop(context, operator, left, right))

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        tree = super()._parse(source, name, filename)
        for include in tree.find_all(nodes.Include):
            raise TemplateSyntaxError("there is no include here; use extends or import", include.lineno, name, filename)
        for loop in tree.find_all(nodes.For):
            loop.iter = _filtered(loop.iter, _COUNTED)
        _shorten(tree)
        return tree

    def _counted(self, _context: Context, some: Iterable[Any]) -> Iterable[Any]:
        """The same things, of which a loop takes so many at most; a step each.

        As a filter that takes the context it is not folded away when a template is compiled.
        """
        if isinstance(some, Sized):
            self._step(len(some))
            return some
        return self._one_by_one(some)

    def _one_by_one(self, some: Iterable[Any]) -> Iterator[Any]:
        for one in some:
            self._step(1)
            yield one

    def _step(self, count: int) -> None:
        self._spent.steps = getattr(self._spent, "steps", 0) + count
        if self._spent.steps > MAX_STEPS:
            raise LimitError(f"more than {MAX_STEPS:,} steps: is there a loop without an end?")


_COUNTED, _SHORT = "the counted", "the short"
_OF_EVERY_DICT = frozenset(dir(dict))


def short(value: Any) -> Any:
    """The value, unless it is a text or a list too long for a message."""
    if isinstance(value, str | list | tuple | Markup):
        _check_length(len(value))
    return value


def _replace(value: Any, old: str, new: str) -> str:
    text = value if isinstance(value, str) else str(value)
    _check_length(len(text) + text.count(old) * len(new))
    return text.replace(old, new)


def _bits(value: Any) -> int:
    return value.bit_length() if isinstance(value, int) else 0


def _check_length(length: int) -> None:
    if length > MAX_LENGTH:
        raise LimitError(f"a text is longer than {MAX_LENGTH:,} characters")


def _shorten(node: nodes.Node) -> None:
    """Wherever texts are joined with ~, their length is looked at."""
    for child in node.iter_child_nodes():
        _shorten(child)
    for field, value in node.iter_fields():
        if isinstance(value, nodes.Concat):
            setattr(node, field, _filtered(value, _SHORT))
        elif isinstance(value, list):
            value[:] = [_filtered(one, _SHORT) if isinstance(one, nodes.Concat) else one for one in value]


def _filtered(node: nodes.Node, name: str) -> nodes.Filter:
    return nodes.Filter(node, name, [], [], None, None, lineno=node.lineno)
