"""The inserts of the seeds, letter for letter, and what a template may not do."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from jinja2 import DictLoader, TemplateSyntaxError, UndefinedError

from loyalty.errors import Faults
from loyalty.mail import sandbox
from loyalty.mail.inserts import VALUES, KilledError, MissingAttributeError, names_asked
from loyalty.mail.sandbox import LimitError, Sandbox
from loyalty.mail.templates import Attributes, Templates, UnsentError

POINTS_TO_EXPIRE = "a7d340ac-906d-49af-83a1-fbe4015bc76f"
EVENT_BODY = '{ "points": " {% expression %} a7d340ac-906d-49af-83a1-fbe4015bc76f {% endexpression %} ", }'
FACTS: dict[str, Any] = {"customer": Attributes({"name": "Zoë", "first-name": "Z"}), "event": {"points": 52}}


def said(source: str, values: dict[str, Any] | None = None, name: str = "text.j2") -> str:
    rendered = Sandbox(DictLoader({name: source}))
    return rendered.rendered(rendered.get_template(name), {**FACTS, VALUES: values or {}})


def test_the_event_body_of_the_seed_works_letter_for_letter() -> None:
    body = said(EVENT_BODY, {POINTS_TO_EXPIRE: 52})
    assert body == '{ "points": " 52 ", }'
    assert yaml.safe_load(body) == {"points": " 52 "}  # YAML's flow style is JSON that forgives the comma


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("{% expression %}lost{% endexpression %}", "7"),
        ("{% expressionvar lost %}{{ expression_result + 1 }}{% endexpressionvar %}", "8"),
        (f"{{%- expressionvar {POINTS_TO_EXPIRE} -%}} {{{{ expression_result }}}} {{%- endexpressionvar -%}}", "5"),
        ("{% aggregate 83e1 %}{{ aggregate_result[0] }}{% endaggregate %}", "9"),
        ('{% aggregate "83e1" %}{{ aggregate_result[0] }}{% endaggregate %}', "9"),
        ("{% customer first-name %}", "Z"),
        ("{{ customer.name }}/{{ customer.nobody }}/", "Zoë//"),
        ("{{ event.points }}", "52"),
    ],
)  # fmt: skip
def test_an_insert_says(source: str, expected: str) -> None:
    assert said(source, {"lost": 7, POINTS_TO_EXPIRE: 5, "83e1": 9}) == expected


def test_what_a_template_asks_for_is_known_when_it_is_loaded() -> None:
    tree = Sandbox(DictLoader({})).parse(
        EVENT_BODY + "\n{% aggregate x %}{% if true %}{{ 1 }}{% endif %}{% endaggregate %}"
    )
    assert names_asked(tree) == {POINTS_TO_EXPIRE: 1, "x": 2}


def test_an_attribute_that_must_be_there_stops_the_message() -> None:
    with pytest.raises(MissingAttributeError, match="surname"):
        said("{% customer surname %}")


def test_a_template_may_say_that_nothing_is_sent() -> None:
    with pytest.raises(KilledError):
        said("{% if event.points < 100 %}{% kill %}{% endif %}")
    assert said("{% if event.points > 100 %}{% kill %}{% endif %}ok") == "ok"


@pytest.mark.parametrize(
    "source",
    ["{% expression %}{{ event.points }}{% endexpression %}", "{% expression %} {% endexpression %}", "{% customer %}"],
)
def test_an_insert_that_names_nothing_is_a_fault(source: str) -> None:
    with pytest.raises(TemplateSyntaxError):
        said(source)


@pytest.mark.parametrize(
    "source",
    [
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ customer.__class__ }}",
        "{{ customer._known }}",
        "{{ event.__init__.__globals__ }}",
        "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
        "{{ ''['__class__'] }}",
        "{{ (''|attr('__class__')) }}",
        "{{ event.update({'points': 1}) }}",
        "{{ '{0.__class__}'.format('') }}",
    ],
)
def test_no_way_leads_to_the_internals(source: str) -> None:
    with pytest.raises(Exception, match=r"unsafe|undefined|immutable|not safely|SecurityError|no attribute|has no"):
        said(source)


@pytest.mark.parametrize(
    "source",
    [
        "{% for a in range(1000) %}{% for b in range(1000) %}{% endfor %}{% endfor %}",
        "{% macro twice(n) %}{% if n %}{{ twice(n - 1) }}{{ twice(n - 1) }}{% endif %}{% endmacro %}{{ twice(60) }}",
        "{{ 'x' * 10000000 }}",
        "{{ [1] * 10000000 }}",
        "{% set ns = namespace(s='xxxxxxxxxx') %}{% for i in range(40) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}",
        "{% set ns = namespace(s='xxxxxxxxxx') %}{% for i in range(40) %}{% set ns.s = ns.s + ns.s %}{% endfor %}",
        "{% for i in range(90000) %}xxxxxxxxxxxxxxxxxxxxxxxxxxxxxx{% endfor %}",
        "{{ '%999999999d' % 1 }}",
        "{{ 9 ** 9999999 }}",
        "{% set ns = namespace(a=9) %}{% for i in range(60) %}{% set ns.a = ns.a * ns.a %}{% endfor %}",
        "{{ ('x' * 9000) | replace('x', 'y' * 9000) | length }}",
        "{% for a in [1, 2, 3, 4, 5, 6, 7, 8, 9] %}" * 9 + "{% endfor %}" * 9,
    ],
)
def test_a_template_without_end_is_stopped(source: str) -> None:
    with pytest.raises(LimitError):
        said(source)


@pytest.mark.parametrize(
    "source",
    [
        "{{ 'x'.ljust(10**8) }}",
        "{{ 'x'|center(100000000) }}",
        "{{ range(10000000) | list }}",
        "{{ ''.encode().zfill(10**8) }}",
        "{{ (1).to_bytes(10**8, 'big') }}",
        "{{ 'a'.join('b') }}",
        "{{ [1] | batch(10**8, 0) }}",
    ],
)
def test_nothing_pads_a_text_to_any_length(source: str) -> None:
    with pytest.raises(Exception, match=r"unsafe|No filter|Range too big"):
        said(source)


def test_what_says_nothing_does_not_end_the_text() -> None:
    assert said("{{ customer.nobody }}" * 100 + "the end") == "the end"


@pytest.mark.parametrize(
    ("source", "expected"), [("{{ f.points }}", "52"), ("{{ f.keys() | list }}", "['points', 'keys']")]
)
def test_a_part_of_a_fact_does_not_hide_what_every_dict_has(source: str, expected: str) -> None:
    made = "{% set f = {'points': 52, 'keys': 1} %}"
    assert said(made + source) == expected


def test_a_part_that_a_fact_lacks_is_a_fault() -> None:
    with pytest.raises(UndefinedError, match="has no attribute 'pints'"):
        said("{{ event.pints }}")


def test_loops_keep_their_manners() -> None:
    source = (
        "{% for x in [1, 2, 3] %}{{ x }}{{ ',' if not loop.last }}{% if x == 2 %}{% break %}{% endif %}{% endfor %}"
    )
    assert said(source) == "1,2,"


def test_html_escapes_what_it_inserts_and_text_does_not() -> None:
    source = "{{ customer.name ~ '<b>' }}"
    assert said(source, name="html.j2") == "Zoë&lt;b&gt;"
    assert said(source, name="text.j2") == "Zoë<b>"


def test_the_limits_are_far_above_a_long_message() -> None:
    many = "{% for i in range(5000) %}{{ i }}: {{ event.points }}\n{% endfor %}"
    assert len(said(many)) > 40_000 < sandbox.MAX_LENGTH


def own(folder: Path, **files: str) -> Path:
    for part in ("subject", "text", "html"):
        path = folder / "thanks" / "en" / f"{part}.j2"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(files.get(part, "hello"), encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    ("source", "fault"),
    [
        ("{{ evnt.points }}", "text.j2:1: {{ evnt }} is unknown; did you mean 'event'?"),
        ("\n{{ event.point }}", "text.j2:2: {{ event.point }} is unknown; did you mean 'points'?"),
        ("{{ event['pints'] }}", "{{ event.pints }} is unknown; did you mean 'points'?"),
        ("{% expresion %}a{% endexpression %}", "text.j2:1: Encountered unknown tag 'expresion'"),
        ("{{ 1 | nmber }}", "text.j2:1: No filter named 'nmber'"),
        ('{% extends "footer.j2" %}', "footer.j2: there is no such template"),
        ('{% include "footer.j2" %}', "text.j2:1: there is no include here"),
    ],
)
def test_a_fault_is_told_with_its_file_and_line(tmp_path: Path, source: str, fault: str) -> None:
    with pytest.raises(Faults) as found:
        Templates(["thanks"], "en", own(tmp_path, text=source))
    assert any(fault in one for one in found.value.faults), found.value.faults


def test_without_the_default_language_there_is_a_fault(tmp_path: Path) -> None:
    with pytest.raises(Faults, match="no templates in the default language"):
        Templates(["thanks"], "pl", own(tmp_path))


@pytest.mark.parametrize(
    ("wanted", "found"), [("pl-PL", "pl"), ("pl", "pl"), ("PL", "pl"), ("de", "en"), (None, "en"), ("en_GB", "en")]
)
def test_the_nearest_language_is_taken(wanted: str | None, found: str) -> None:
    assert Templates(["points_expired"], "en").locale_for("points_expired", wanted) == found


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("{% customer surname %}", "missing_attribute"),
        ("{% kill %}", "killed"),
        ("{% for i in range(99999) %}{{ range(9) }}{% endfor %}", "template_limit"),
        ("{{ event.points / 0 }}", "template_error"),
        ("{{ customer.name.nothing.more }}", "template_error"),
        ("{{ customer.name | day }}", "template_error"),
        ("{{ event.points | link }}", "template_error"),
    ],
)
def test_why_there_is_no_message_is_said(tmp_path: Path, source: str, reason: str) -> None:
    templates = Templates(["thanks"], "en", own(tmp_path, html=source))
    with pytest.raises(UnsentError) as unsent:
        templates.render("thanks", FACTS | {"message": {"locale": "en"}}, {})
    assert unsent.value.reason == reason


def test_a_line_break_in_the_subject_is_a_blank(tmp_path: Path) -> None:
    templates = Templates(["thanks"], "en", own(tmp_path, subject="Hello {{ customer.name }}\r\nBcc: x@example.org\n"))
    assert (
        templates.render("thanks", FACTS | {"message": {"locale": "en"}}, {}).subject == "Hello Zoë Bcc: x@example.org"
    )
