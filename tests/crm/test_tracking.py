"""Where an order is: milestones, parcels, links, and when it is called late."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugin.crm import tracking
from plugin.crm.tracking import Step, Usual

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
