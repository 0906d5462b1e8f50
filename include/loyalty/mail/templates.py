"""The templates of campaigns: found by language, checked when they are loaded, rendered for one customer."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import ChoiceLoader, FileSystemLoader, TemplateSyntaxError, meta, nodes

from loyalty.errors import Faults, nearest
from loyalty.mail.inserts import VALUES, KilledError, MissingAttributeError, names_asked
from loyalty.mail.sandbox import LimitError, Sandbox
from loyalty.mail.wording import WORDING

SHIPPED = Path(__file__).with_name("shipped")
FAULTS = ("missing_attribute", "template_error", "template_limit", "bad_address", "bad_header")
PARTS = ("subject.j2", "text.j2", "html.j2")
# What a template may speak of, and of what that has.
KNOWN: dict[str, tuple[str, ...] | None] = {
    "customer": None,
    "event": ("action", "points", "occurred_at", "days"),
    "account": ("balance",),
    "promotions": None,
    "program": ("name", "currency", "point_value"),
    "message": ("key", "campaign", "locale", "stage", "unsubscribe_url", "shop_url", "utm"),
}


@dataclass(frozen=True)
class Content:
    """A rendered message."""

    subject: str
    text: str
    html: str


class UnsentError(Exception):
    """There is no message for this customer: ``reason`` in a word, ``detail`` in more."""

    def __init__(self, reason: str, detail: str | None = None) -> None:
        super().__init__(reason, detail)
        self.reason, self.detail = reason, detail

    @property
    def is_fault(self) -> bool:
        """Whether there ought to have been one."""
        return self.reason in FAULTS


class Attributes:
    """What is known of a customer; what is not known is empty."""

    __slots__ = ("_known",)

    def __init__(self, known: Mapping[str, Any]) -> None:
        self._known = known

    def __getitem__(self, name: str) -> Any:
        found = self._known.get(name)
        return "" if found is None else found


class Templates:
    """The templates of these campaigns' folders; Faults lists everything that is wrong with them.

    ``own`` is a folder that goes before the shipped one, file by file.
    """

    def __init__(self, folders: Sequence[str], default_locale: str, own: Path | None = None) -> None:
        self._places = [place for place in (own, SHIPPED) if place is not None]
        self._sandbox = Sandbox(ChoiceLoader([FileSystemLoader(place) for place in self._places]))
        self._sandbox.filters |= WORDING
        self._default = default_locale.replace("-", "_")
        self.locales: dict[str, tuple[str, ...]] = {}
        self.asked: dict[str, dict[str, str]] = {}
        faults = [fault for folder in dict.fromkeys(folders) for fault in self._load(folder)]
        if faults:
            raise Faults(dict.fromkeys(faults))

    def locale_for(self, folder: str, wanted: str | None) -> str:
        """The language nearest to the one wanted that the folder has: itself, without its country, the default one."""
        have = self.locales[folder]
        asked = (wanted or "").replace("-", "_")
        tried = (asked, asked.partition("_")[0].lower(), self._default, self._default.partition("_")[0])
        return next((one for one in tried if one in have), have[0])

    def render(self, folder: str, facts: Mapping[str, Any], values: Mapping[str, Any]) -> Content:
        """The message for these facts, in their ``message.locale``; UnsentError where there is none."""
        locale = facts["message"]["locale"]
        try:
            subject, text, html = (self._rendered(f"{folder}/{locale}/{part}", facts, values) for part in PARTS)
        except MissingAttributeError as missing:
            raise UnsentError("missing_attribute", str(missing)) from None
        except KilledError:
            raise UnsentError("killed") from None
        except LimitError as limit:
            raise UnsentError("template_limit", str(limit)) from None
        except Exception as error:  # whatever one customer's data make of it: it is that customer's message alone
            raise UnsentError("template_error", f"{type(error).__name__}: {error}"[:500]) from None
        return Content(" ".join(subject.split()), text, html)

    def _rendered(self, name: str, facts: Mapping[str, Any], values: Mapping[str, Any]) -> str:
        return self._sandbox.rendered(self._sandbox.get_template(name), {**facts, VALUES: values})

    def _load(self, folder: str) -> Iterator[str]:
        known = self._sandbox.list_templates()
        have = sorted({name.split("/")[1] for name in known if name.startswith(f"{folder}/") and name.count("/") == 2})
        default = self._default if self._default in have else self._default.partition("_")[0]
        if default not in have:
            yield f"{self._where(f'{folder}/{default}')}: there are no templates in the default language"
        self.locales[folder] = (default, *(one for one in have if one != default))
        self.asked[folder] = {}
        for locale in have:
            for part in PARTS:
                yield from self._check(folder, f"{folder}/{locale}/{part}", known, set())

    def _check(self, folder: str, name: str, known: Sequence[str], seen: set[str]) -> Iterator[str]:
        if name in seen:
            return
        seen.add(name)
        if name not in known:
            yield f"{self._where(name)}: there is no such template; {nearest(name, known)}"
            return
        source, path, _ = self._sandbox.loader.get_source(self._sandbox, name)  # type: ignore[union-attr]
        try:
            tree = self._sandbox.parse(source, name, path)
            self._sandbox.get_template(name)
        except TemplateSyntaxError as error:
            yield f"{error.filename or path}:{error.lineno}: {error.message}"
            return
        for fault, line in _unknown(tree):
            yield f"{path}:{line}: {fault}"
        for asked, line in names_asked(tree).items():
            self.asked[folder].setdefault(asked, f"{path}:{line}")
        for other in meta.find_referenced_templates(tree):
            yield from self._check(folder, str(other), known, seen)

    def _where(self, name: str) -> Path:
        return self._places[0] / name


def _unknown(tree: nodes.Template) -> Iterator[tuple[str, int]]:
    """Names, and parts of them, that no message has."""
    own = {name.name for name in tree.find_all(nodes.Name) if name.ctx != "load"}
    own |= {"range", "dict", "cycler", "joiner", "namespace"}
    undeclared = meta.find_undeclared_variables(tree) - own
    for name in tree.find_all(nodes.Name):
        if name.ctx == "load" and name.name in undeclared and name.name not in KNOWN:
            yield f"{{{{ {name.name} }}}} is unknown; {nearest(name.name, KNOWN)}", name.lineno
    by_name = [(one.node, one.attr, one.lineno) for one in tree.find_all(nodes.Getattr)]
    by_item = [(one.node, getattr(one.arg, "value", None), one.lineno) for one in tree.find_all(nodes.Getitem)]
    for node, part, line in (*by_name, *by_item):
        of = node.name if isinstance(node, nodes.Name) else ""
        parts = KNOWN.get(of)
        if parts and isinstance(part, str) and part not in parts:
            yield f"{{{{ {of}.{part} }}}} is unknown; {nearest(part, parts)}", line
