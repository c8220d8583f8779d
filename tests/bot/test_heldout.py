"""The check before a model goes live: what it is by hand, and that noise passes and losses do not."""

from dataclasses import replace

import numpy as np
import pytest

from plugin.bot import heldout
from plugin.bot.heldout import Answers


@pytest.mark.parametrize(
    ("worse", "better", "chance"), [(7, 0, 1 / 128), (5, 5, 638 / 1024), (0, 0, 1), (0, 9, 1), (3, 1, 5 / 16)]
)
def test_the_test_is_the_sign_test_of_the_pairs_that_differ(worse: int, better: int, chance: float) -> None:
    assert heldout.by_chance(worse, better) == pytest.approx(chance)


def answers(right: float, seed: int, *, count: int = 3_000, held: int = 0) -> Answers:
    """A model that has this share of the questions right, by chance."""
    chance = np.random.default_rng(seed)

    def drawn(share: float, of: int = count) -> list[bool]:
        return [bool(one) for one in chance.random(of) < share]

    return Answers(drawn(right), drawn(right / 2), drawn(0.04), drawn(right, held), [at < 90 for at in range(count)])


def test_two_models_that_are_as_good_as_each_other_pass_nearly_always() -> None:
    refused = sum(
        any(one.lost for one in heldout.compare(answers(0.8, seed), answers(0.8, seed + 9_000, held=0)))
        for seed in range(300)
    )
    assert refused / 300 <= 5 * heldout.CHANCE + 0.02, "five comparisons of one in a hundred each"


def test_a_loss_is_seen_in_whatever_it_is() -> None:
    before = answers(0.8, 0, held=40)
    for name in ("first", "answered", "held"):
        was = list(getattr(before, name))
        right = [at for at, one in enumerate(was) if one]
        gone = {*right[: max(8, len(was) // 50)]}
        worse = replace(before, **{name: [one and at not in gone for at, one in enumerate(was)]})
        assert any(one.lost for one in heldout.compare(worse, before)), name
        assert not any(one.lost for one in heldout.compare(before, worse)), name
    strange = replace(before, strange=[one or at % 40 == 0 for at, one in enumerate(before.strange)])
    assert {one.name for one in heldout.compare(strange, before) if one.lost} >= {"strange"}
    person = replace(before, first=[one and at not in range(12) for at, one in enumerate(before.first)])
    assert {one.name for one in heldout.compare(person, before) if one.lost} == {"person"}


def test_what_a_new_topic_costs_its_neighbours_passes() -> None:
    before = answers(0.8, 0)
    right = [at for at, one in enumerate(before.answered) if one]
    worse = replace(before, answered=[one and at not in right[:6] for at, one in enumerate(before.answered)])
    assert not any(one.lost for one in heldout.compare(worse, before))


def test_a_fifth_is_held_out_the_same_however_it_is_written() -> None:
    texts = [f"question number {at} about things" for at in range(2_000)]
    held = [heldout.is_held_out(text) for text in texts]
    assert np.mean(held) == pytest.approx(0.2, abs=0.03)
    assert [heldout.is_held_out(f"  {text.upper()}?") for text in texts[:200]] == held[:200]
