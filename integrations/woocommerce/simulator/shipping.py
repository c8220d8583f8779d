"""Where the store delivers: zones, their places and methods, as `wc/v3/shipping/zones` tells them."""

from __future__ import annotations

from typing import Any

ZONES: tuple[dict[str, Any], ...] = (
    {"id": 1, "name": "الأردن", "order": 0, "locations": [("JO", "country")], "methods": [
        {"method_id": "flat_rate", "title": "توصيل", "cost": "3"},
        {"method_id": "free_shipping", "title": "توصيل مجاني", "requires": "min_amount", "min_amount": "50"},
        {"method_id": "local_pickup", "title": "استلام من المحل", "cost": "0"},
    ]},
    {"id": 2, "name": "الخليج", "order": 1, "locations": [("SA", "country"), ("AE", "country")], "methods": [
        {"method_id": "flat_rate", "title": "Aramex", "cost": "12.5"},
    ]},
    {"id": 0, "name": "Locations not covered by your other zones", "order": 0, "locations": [], "methods": []},
)  # fmt: skip


def zones() -> list[dict[str, Any]]:
    """All zones, without what is in them."""
    return [{name: zone[name] for name in ("id", "name", "order")} for zone in ZONES]


def locations(zone_id: int) -> list[dict[str, Any]] | None:
    """The places of a zone; None where there is no such zone."""
    zone = next((one for one in ZONES if one["id"] == zone_id), None)
    return [{"code": code, "type": kind} for code, kind in zone["locations"]] if zone is not None else None


def methods(zone_id: int) -> list[dict[str, Any]] | None:
    """The methods of a zone; None where there is no such zone."""
    zone = next((one for one in ZONES if one["id"] == zone_id), None)
    if zone is None:
        return None
    return [
        {
            "id": number,
            "instance_id": number,
            "title": one["title"],
            "order": number,
            "enabled": True,
            "method_id": one["method_id"],
            "method_title": one["method_id"].replace("_", " ").capitalize(),
            "method_description": "",
            "settings": {
                name: {"id": name, "label": name, "description": "", "type": "text", "value": one[name],
                       "default": "", "tip": "", "placeholder": ""}
                for name in ("cost", "requires", "min_amount")
                if name in one
            },
        }
        for number, one in enumerate(zone["methods"], 1)
    ]  # fmt: skip
