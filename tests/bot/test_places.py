"""Countries that a question names, in any language, with what is written onto them, and by their cities."""

from __future__ import annotations

import pytest

from plugin.bot import places


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ("how much is delivery to Jordan", ["JO"]),
        ("do you ship to Saudi Arabia or Kuwait?", ["SA", "KW"]),
        ("do you deliver to Riyadh", ["SA"]),
        ("shipping to South Africa", ["ZA"]),
        ("كم التوصيل للأردن", ["JO"]),
        ("بتوصلوا على دبي", ["AE"]),
        ("كم الشحن إلى السعودية والكويت", ["SA", "KW"]),
        ("التوصيل لبيروت", ["LB"]),
        ("هل توصلون الى حيفا", ["IL"]),
        ("כמה עולה משלוח לירדן", ["JO"]),
        ("יש משלוחים לארה״ב?", ["US"]),
        ("אתם שולחים לבאר שבע", ["IL"]),
        ("kam el tawsil 3ala 3amman", ["JO"]),
        ("how much is delivery", []),
        ("متى يصل طلبي", []),
        ("כמה עולה המשלוח", []),
    ],
)
def test_a_country_is_known_by_its_names_and_cities(text: str, codes: list[str]) -> None:
    assert places.countries(text) == codes


def test_what_two_places_are_called_is_the_stores_own() -> None:
    assert places.countries("كم التوصيل الى عمان", "JO") == ["JO"]
    assert places.countries("كم التوصيل الى عمان", "OM") == ["OM"]
    assert places.countries("كم التوصيل الى عمان", "SA") is None


def test_regions_are_known_by_their_names() -> None:
    assert places.regions("delivery to Giza please", ("Cairo", "Giza")) == ["Giza"]
    assert places.regions("delivery to Aswan", ("Cairo", "Giza")) == []
