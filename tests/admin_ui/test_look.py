"""What somebody typed keeps its numbers in one piece and its code as text."""

import time

import pytest

from admin_ui import words
from admin_ui.look import typed
from plugin.crm import timeline


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("رقم الطلب #1042؟", 'رقم الطلب <bdi dir="ltr" class="whole">#1042</bdi>؟'),
        ("הזמנה AB-1042, תודה", 'הזמנה <bdi dir="ltr" class="whole">AB-1042</bdi>, תודה'),
        ("call +972 52-440-8156.", 'call <bdi dir="ltr" class="whole">+972 52-440-8156</bdi>.'),
        ("<b>hi</b> & #1", '&lt;b&gt;hi&lt;/b&gt; &amp; <bdi dir="ltr" class="whole">#1</bdi>'),
        ("nothing special, 2 of 3", "nothing special, 2 of 3"),
        (f"code A-{'B' * 30}", f'code <bdi dir="ltr">A-{"B" * 30}</bdi>'),
    ],
)
def test_runs_are_isolated_and_nothing_is_code(text: str, shown: str) -> None:
    assert typed(text) == shown


def test_addresses_are_linked_up_to_where_they_end() -> None:
    shown = typed('see https://shop.example/a?b=1&c=2. Or <script src="https://x.example">')
    assert 'href="https://shop.example/a?b=1&amp;c=2"' in shown
    assert "</a>. Or &lt;script" in shown
    assert "<script" not in shown


def test_inside_a_button_nothing_is_linked() -> None:
    assert "<a " not in typed("https://shop.example/x", links=False)


@pytest.mark.parametrize(
    "text", ["A" * 30_000, "#" + "1" * 30_000, "+1 " * 10_000, "#A" * 15_000, "https://" + "." * 30_000]
)
def test_a_shopper_cannot_keep_the_panel_busy(text: str) -> None:
    """Code that looks at each letter anew takes ten seconds for these, and holds up everybody meanwhile."""
    began = time.process_time()
    typed(text)
    assert time.process_time() - began < 2


def test_every_entry_of_a_timeline_has_its_sign_and_no_sign_is_left_over() -> None:
    assert words.SIGNS.keys() == timeline.KINDS
