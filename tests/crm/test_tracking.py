"""Where an order is: milestones, parcels, links, and when it is called late."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugin.crm import tracking, whereabouts
from plugin.crm.tracking import Step, Usual
from plugin.kernel import i18n

NOW = datetime(2026, 11, 22, tzinfo=UTC)
DAY = timedelta(days=1)
USUAL = Usual(packing=2 * DAY, carrying=4 * DAY)


@dataclass
class Parcel:
    status: str = "in_transit"
    carrier: str = ""
    tracking_number: str = ""
    tracking_url: str = ""
    shipped_at: datetime | None = None
    delivered_at: datetime | None = None
    estimated_at: datetime | None = None
    proof_url: str = ""


def stands(*parcels: Parcel, placed: int = 1, status: str = "", usual: Usual = USUAL) -> tracking.Standing:
    return tracking.standing(NOW - placed * DAY, status, None, parcels, usual, NOW)


@pytest.mark.parametrize(
    ("parcels", "status", "reached"),
    [
        ((), "unfulfilled", Step.ORDERED), ((), "fulfilled", Step.SHIPPED), ((Parcel("pending"),), "", Step.PACKED),
        ((Parcel("cancelled"),), "", Step.ORDERED), ((Parcel("failed"),), "", Step.SHIPPED),
        ((Parcel("out_for_delivery"),), "", Step.OUT_FOR_DELIVERY), ((Parcel(delivered_at=NOW),), "", Step.DELIVERED),
    ],
)  # fmt: skip
def test_how_far_it_is(parcels: tuple[Parcel, ...], status: str, reached: Step) -> None:
    assert stands(*parcels, status=status).reached is reached


def test_it_is_late_only_against_the_shops_own_parcels() -> None:
    slow = Parcel(shipped_at=NOW - 5 * DAY)
    assert stands(slow, placed=6).late
    assert not stands(slow, placed=6, usual=Usual()).late, "too few parcels say nothing"
    assert not stands(Parcel(shipped_at=NOW - 3 * DAY), placed=9).late
    assert not stands(Parcel(shipped_at=NOW - 9 * DAY, delivered_at=NOW), placed=9).late
    assert stands(placed=3).late
    assert not stands(placed=1).late
    cancelled = tracking.standing(NOW - 9 * DAY, "", NOW, (), USUAL, NOW)
    assert cancelled.cancelled
    assert not cancelled.late


@given(
    st.lists(st.builds(Parcel, status=st.sampled_from(["pending", "in_transit", "delivered", "cancelled", "unknown"])))
)
def test_milestones_are_a_beginning_of_the_course(parcels: list[Parcel]) -> None:
    found = stands(*parcels)
    assert tuple(step for step, _at in found.moments) == tracking.COURSE[: len(found.moments)]
    assert found.moments[-1][0] is found.reached


@pytest.mark.parametrize(
    ("carrier", "number", "told", "where"),
    [
        ("UPS", "1Z 999", "", "https://www.ups.com/track?tracknum=1Z999"),
        ("\u0623\u0631\u0627\u0645\u0643\u0633", "12345", "", "https://www.aramex.com/track/results?ShipmentNumber=12345"),
        ("Cheetah", "12345", "https://cheetah.example/12345", "https://cheetah.example/12345"),
        ("Cheetah", "12345", "javascript:alert(1)", ""), ("UPS", "\"><script>", "", ""), ("Groups", "12345", "", ""),
    ],
)  # fmt: skip
def test_a_parcel_is_followed_where_its_carrier_is_known(carrier: str, number: str, told: str, where: str) -> None:
    assert tracking.link(carrier, number, told) == where


def test_an_order_whose_rest_is_waited_for_is_not_delivered() -> None:
    there = Parcel(shipped_at=NOW - 9 * DAY, delivered_at=NOW - 5 * DAY)
    unsent = stands(there, placed=10, status="partial")
    assert (unsent.reached, unsent.rest, unsent.late, unsent.usual) == (Step.SHIPPED, Step.ORDERED, True, USUAL.packing)
    going = stands(there, Parcel(shipped_at=NOW - DAY), placed=10)
    assert (going.reached, going.rest, going.late) == (Step.SHIPPED, Step.SHIPPED, False)
    assert going.expected == NOW + 3 * DAY, "of the parcel that is under way"
    assert stands(there, Parcel(shipped_at=NOW - 5 * DAY), placed=10).late
    assert stands(there, Parcel("out_for_delivery"), placed=10).reached is Step.OUT_FOR_DELIVERY
    assert (stands(there, there).reached, stands(there, there).rest) == (Step.DELIVERED, None)
    t = i18n.load().translator("en")
    assert "the rest was not sent yet. It takes longer" in whereabouts.sentence(t, "#1001", unsent)
    assert "the rest is on its way. It should be there" in whereabouts.sentence(t, "#1001", going)


def test_no_day_is_given_for_what_the_carrier_could_not_deliver() -> None:
    assert stands(Parcel("failed", shipped_at=NOW)).expected is None
    assert stands(Parcel("failed", shipped_at=NOW, estimated_at=NOW + DAY)).expected == NOW + DAY, "it tries again"


def test_the_carriers_own_day_goes_before_what_others_took() -> None:
    due = stands(Parcel(shipped_at=NOW - 9 * DAY, estimated_at=NOW + DAY), placed=10)
    assert (due.late, due.expected, due.promised) == (False, NOW + DAY, True)
    over = stands(Parcel(shipped_at=NOW - DAY, estimated_at=NOW - 2 * DAY), placed=3)
    assert (over.late, over.expected) == (True, None)
    usual = stands(Parcel(shipped_at=NOW - DAY), placed=2)
    assert (usual.expected, usual.promised) == (NOW + 3 * DAY, False)
    assert stands(placed=1).expected == NOW + 5 * DAY
    assert stands(placed=1, usual=Usual(packing=DAY)).expected is None, "half of the way says nothing of the whole"
    assert stands(Parcel(delivered_at=NOW)).expected is None


def test_an_order_that_is_fetched_has_a_course_of_its_own() -> None:
    def fetched(*parcels: Parcel) -> tracking.Standing:
        return tracking.standing(NOW - DAY, "", None, parcels, USUAL, NOW, pickup="Shop in Haifa")

    assert fetched().shown is Step.ORDERED
    assert fetched(Parcel("ready_for_pickup")).shown is Step.READY
    assert fetched(Parcel("delivered", delivered_at=NOW)).shown is Step.FETCHED
    assert fetched(Parcel("ready_for_pickup")).expected is None


def test_a_picture_of_the_parcel_is_only_loaded_from_a_safe_address() -> None:
    left = "https://carrier.example/left.jpg"
    assert stands(Parcel(delivered_at=NOW, proof_url=left)).parcels[0].proof == left
    assert stands(Parcel(delivered_at=NOW, proof_url="javascript:alert(1)")).parcels[0].proof == ""


@pytest.mark.parametrize("language", ["en", "ar", "he"])
def test_where_an_order_is_in_a_sentence(language: str) -> None:
    t = i18n.load().translator(language)
    said = {
        whereabouts.sentence(t, "#1001", found)
        for found in (
            stands(placed=1), stands(Parcel("pending")), stands(Parcel(shipped_at=NOW - DAY)),
            stands(Parcel("out_for_delivery")), stands(Parcel(delivered_at=NOW)), stands(placed=9),
            stands(Parcel("failed", shipped_at=NOW)), stands(Parcel(shipped_at=NOW, estimated_at=NOW + DAY)),
            tracking.standing(NOW, "", NOW, (), USUAL, NOW),
            tracking.standing(NOW, "", None, (Parcel("ready_for_pickup"),), USUAL, NOW, pickup="Haifa"),
        )
    }  # fmt: skip
    assert len(said) == 10, "each says something else"
    assert all("#1001" in one for one in said)


@pytest.mark.parametrize("language", ["en", "ar", "he"])
def test_where_an_order_is_says_nothing_that_stands_in_a_row_of_its_own(language: str) -> None:
    t = i18n.load().translator(language)
    for found in (
        stands(placed=9), stands(Parcel("failed", shipped_at=NOW)),
        stands(Parcel(shipped_at=NOW, estimated_at=NOW + DAY)),
    ):  # fmt: skip
        place, whole = whereabouts.place(t, "#1001", found), whereabouts.sentence(t, "#1001", found)
        assert whole.startswith(f"{place} "), "when it comes, or why not, is said after it"
