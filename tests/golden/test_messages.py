"""The three campaigns say, in each language, what was reviewed."""

from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from loyalty.mail.templates import Attributes, Templates

FILES = Path(__file__).parent / "mail"
TEMPLATES = Templates(["points_cancelled", "points_expired", "points_to_expire"], "en")
DAYS = [{"day": date(2026, 7, 1), "points": 1200}, {"day": date(2026, 7, 2), "points": 34}]
FACTS = {
    "customer": Attributes({"first_name": "Zoë <b>\"Ł'Ô</b> Бор 🎁"}),
    "event": {"action": "points.expire", "points": 1234, "occurred_at": datetime(2026, 7, 1, tzinfo=UTC), "days": DAYS},
    "account": {"balance": 5678},
    "promotions": [
        {"name": "jar", "title": "A jar & a lid", "required_points": 5000},
        {"name": "coffee", "title": "A coffee", "required_points": 50},
    ],
    "program": {"name": "Our program", "currency": "PLN", "point_value": Decimal("0.01")},
}
MESSAGE = {
    "key": "k",
    "campaign": "c",
    "stage": None,
    "unsubscribe_url": "https://shop.example.org/unsubscribe?m=k&c=1",
    "shop_url": "https://shop.example.org/offers",
    "utm": {"utm_source": "loyalty", "utm_medium": "email", "utm_campaign": "c"},
}


@pytest.mark.parametrize("locale", ["en", "pl"])
@pytest.mark.parametrize("campaign", ["points_cancelled", "points_expired", "points_to_expire"])
def test_a_message_says_what_was_reviewed(campaign: str, locale: str, rewrite_golden: bool) -> None:
    content = TEMPLATES.render(campaign, FACTS | {"message": MESSAGE | {"locale": locale}}, {})
    for kind, text in (("txt", f"Subject: {content.subject}\n\n{content.text}"), ("html", content.html)):
        file = FILES / f"{campaign}.{locale}.{kind}"
        if rewrite_golden:
            file.write_text(text, encoding="utf-8")
        assert text == file.read_text(encoding="utf-8")


def test_whoever_holds_little_is_offered_nothing_and_nobody_has_to_have_a_name() -> None:
    poor = FACTS | {
        "promotions": [],
        "customer": Attributes({}),
        "message": MESSAGE | {"locale": "en", "shop_url": None},
    }
    content = TEMPLATES.render("points_expired", poor, {})
    assert content.text.startswith("Hello,\n")
    assert "What you can get" not in content.text + content.html
    assert "To the shop" not in content.text + content.html
