"""Product pictures, drawn: a few shapes, tinted by the product."""

from __future__ import annotations

_SHAPES: dict[str, str] = {
    "jar": (
        '<path d="M62 74h76c6 4 8 10 8 18v52a12 12 0 0 1-12 12H66a12 12 0 0 1-12-12V92c0-8 2-14 8-18z" fill="{deep}"/>'
        '<rect x="60" y="52" width="80" height="20" rx="6" fill="{dark}"/>'
        '<rect x="66" y="98" width="68" height="36" rx="4" fill="{pale}"/>'
        '<path d="M80 116c10-14 30-14 40 0-10 14-30 14-40 0z" fill="{mid}"/>'
    ),
    "bag": (
        '<path d="M62 56h76l6 92a10 10 0 0 1-10 10H66a10 10 0 0 1-10-10z" fill="{deep}"/>'
        '<path d="M62 56h76l-2 16H64z" fill="{dark}"/><circle cx="100" cy="112" r="22" fill="{pale}"/>'
        '<path d="M100 96c10 8 10 24 0 32-10-8-10-24 0-32z" fill="{deep}"/>'
    ),
    "pantry": (
        '<path d="M92 40h16v18c0 8 14 12 14 30v66a8 8 0 0 1-8 8H86a8 8 0 0 1-8-8V88c0-18 14-22 14-30z" fill="{deep}"/>'
        '<rect x="90" y="30" width="20" height="12" rx="3" fill="{dark}"/>'
        '<rect x="82" y="102" width="36" height="34" rx="3" fill="{pale}"/>'
        '<path d="M100 110c9 4 9 14 0 19-9-5-9-15 0-19z" fill="{deep}"/>'
    ),
    "coffee": (
        '<path d="M66 74h60v36c0 20-14 34-30 34s-30-14-30-34z" fill="{deep}"/>'
        '<path d="M126 82c16-2 20 6 18 14s-10 14-20 12" fill="none" stroke="{deep}" stroke-width="7"/>'
        '<ellipse cx="96" cy="74" rx="30" ry="7" fill="{dark}"/><ellipse cx="96" cy="150" rx="42" ry="7" fill="{mid}"/>'
        '<path d="M88 60c-6-8 6-12 0-22M104 60c-6-8 6-12 0-22" fill="none" stroke="{mid}" stroke-width="4"'
        ' stroke-linecap="round"/>'
    ),
    "spices": (
        '<path d="M54 112h92c0 30-20 44-46 44s-46-14-46-44z" fill="{deep}"/>'
        '<path d="M62 112c8-34 26-50 38-50s30 16 38 50z" fill="{mid}"/>'
        '<circle cx="92" cy="92" r="4" fill="{dark}"/><circle cx="110" cy="84" r="3" fill="{dark}"/>'
        '<circle cx="106" cy="102" r="4" fill="{dark}"/>'
        '<rect x="50" y="108" width="100" height="8" rx="4" fill="{dark}"/>'
    ),
    "bath": (
        '<rect x="52" y="86" width="96" height="58" rx="16" fill="{deep}"/>'
        '<rect x="66" y="100" width="68" height="30" rx="10" fill="none" stroke="{pale}" stroke-width="4"/>'
        '<circle cx="74" cy="66" r="11" fill="{mid}"/><circle cx="100" cy="52" r="8" fill="{mid}"/>'
        '<circle cx="120" cy="68" r="6" fill="{mid}"/>'
    ),
    "ceramics": (
        '<path d="M46 88h108c-2 40-26 62-54 62s-52-22-54-62z" fill="{deep}"/>'
        '<ellipse cx="100" cy="88" rx="54" ry="13" fill="{mid}"/>'
        '<path d="M58 112c14 8 28-8 42 0s28 8 42 0" fill="none" stroke="{pale}" stroke-width="5"'
        ' stroke-linecap="round"/>'
        '<rect x="82" y="150" width="36" height="8" rx="4" fill="{dark}"/>'
    ),
    "textiles": (
        '<path d="M50 64h100v84H50z" fill="{deep}"/><path d="M50 64h100v20H50z" fill="{mid}"/>'
        '<path d="M50 104h100M50 118h100M70 64v84M90 64v84M110 64v84M130 64v84" stroke="{pale}" stroke-width="3"'
        ' stroke-dasharray="6 6"/>'
        '<path d="M54 148v10M66 148v10M78 148v10M90 148v10M102 148v10M114 148v10M126 148v10M138 148v10"'
        ' stroke="{dark}" stroke-width="4" stroke-linecap="round"/>'
    ),
}


_BY_SKU = {
    **dict.fromkeys(("OLV-GRN", "TAH-400", "HNY-SDR", "SEA-SLT", "SEA-MUD"), "jar"),
    **dict.fromkeys(("DAT-MDJ", "FRK-1K", "COF-CRD", "COF-YRG", "COF-DRK", "TEA-JAS", "TEA-SGE", "TEA-MNT"), "bag"),
    **dict.fromkeys(("OIL-ARG", "WTR-ROS"), "pantry"),
    "CER-CUP": "coffee",
}


def picture(category: str, hue: int, sku: str = "") -> str:
    """An SVG of 200 by 200 units; `hue` in degrees; some products are not like the rest of their category."""
    shades = {
        "pale": f"hsl({hue} 45% 94%)",
        "mid": f"hsl({hue} 42% 68%)",
        "deep": f"hsl({hue} 40% 46%)",
        "dark": f"hsl({hue} 42% 28%)",
    }
    shape = _SHAPES[_BY_SKU.get(sku, category)].format(**shades)
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 200 200" role="img" aria-hidden="true">'
        f'<rect width="200" height="200" fill="hsl({hue} 38% 90%)"/>'
        f'<circle cx="100" cy="104" r="76" fill="hsl({hue} 45% 95%)"/>{shape}</svg>'
    )
