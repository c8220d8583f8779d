"""The shop's product pictures: a few drawn shapes in a few colours."""

from __future__ import annotations

from integrations.shopify.simulator import merchandise as goods

_SHAPES = {
    "bowl": (
        '<path d="M52 104h136c0 44-28 68-68 68s-68-24-68-68z" fill="{b}"/>'
        '<ellipse cx="120" cy="104" rx="68" ry="15" fill="{s}"/>'
        '<ellipse cx="120" cy="106" rx="58" ry="10" fill="{g}" opacity=".35"/>'
    ),
    "plate": (
        '<circle cx="120" cy="120" r="70" fill="{b}"/>'
        '<circle cx="120" cy="120" r="50" fill="{g}" opacity=".4"/>'
        '<circle cx="120" cy="120" r="50" fill="none" stroke="{s}" stroke-width="3"/>'
    ),
    "mug": (
        '<path d="M70 74h84v78c0 14-12 24-26 24H96c-14 0-26-10-26-24z" fill="{b}"/>'
        '<path d="M154 94c34-6 34 52 0 48" fill="none" stroke="{b}" stroke-width="13"/>'
        '<ellipse cx="112" cy="75" rx="42" ry="9" fill="{s}"/>'
    ),
    "glass": (
        '<path d="M84 66h72l-9 108H93z" fill="{b}" opacity=".45"/>'
        '<path d="M88 104h64l-6 66H94z" fill="{s}" opacity=".75"/>'
    ),
    "jug": (
        '<path d="M96 60h48l-4 26c18 12 26 30 26 50 0 28-20 42-46 42s-46-14-46-42c0-20 8-38 26-50z"'
        ' fill="{b}"/>'
        '<path d="M164 92c26 0 26 42 2 50" fill="none" stroke="{s}" stroke-width="9"/>'
    ),
    "cloth": (
        '<path d="M60 78l60-22 60 22v70l-60 30-60-30z" fill="{b}"/>'
        '<path d="M60 78l60 26 60-26M120 104v74" stroke="{s}" stroke-width="3" fill="none"/>'
        '<path d="M60 128l60 28 60-28" stroke="{g}" stroke-width="5" fill="none"/>'
    ),
    "pot": (
        '<path d="M88 70h56l14 80c2 18-10 28-30 28h-24c-20 0-32-10-30-28z" fill="{b}"/>'
        '<path d="M146 84l48-20" stroke="{s}" stroke-width="10" stroke-linecap="round"/>'
        '<ellipse cx="116" cy="71" rx="28" ry="7" fill="{s}"/>'
    ),
    "board": (
        '<rect x="58" y="76" width="108" height="92" rx="18" fill="{b}"/>'
        '<rect x="160" y="112" width="38" height="20" rx="10" fill="{b}"/>'
        '<path d="M74 96c26 12 52-8 78 6M74 122c26 12 52-8 78 6M74 148c26 10 50-8 78 4" stroke="{s}"'
        ' stroke-width="2.5" fill="none" opacity=".6"/>'
    ),
    "jar": (
        '<rect x="78" y="84" width="84" height="94" rx="16" fill="{b}"/>'
        '<rect x="84" y="62" width="72" height="22" rx="6" fill="{s}"/>'
        '<rect x="92" y="112" width="56" height="38" rx="4" fill="{g}"/>'
    ),
    "bottle": (
        '<path d="M106 50h28v34c18 8 26 22 26 40v40c0 8-6 14-14 14H94c-8 0-14-6-14-14v-40c0-18 8-32 26-40z"'
        ' fill="{b}"/>'
        '<rect x="104" y="42" width="32" height="16" rx="4" fill="{s}"/>'
        '<rect x="90" y="122" width="60" height="34" rx="3" fill="{g}"/>'
    ),
    "bag": (
        '<path d="M76 78h88l8 90c1 8-4 12-12 12H80c-8 0-13-4-12-12z" fill="{b}"/>'
        '<path d="M76 78l10-18h68l10 18z" fill="{s}"/>'
        '<circle cx="120" cy="128" r="22" fill="{g}"/>'
    ),
    "soap": (
        '<rect x="62" y="92" width="116" height="68" rx="20" fill="{b}"/>'
        '<rect x="78" y="106" width="84" height="40" rx="12" fill="none" stroke="{s}" stroke-width="3"/>'
        '<circle cx="176" cy="80" r="9" fill="{s}" opacity=".3"/>'
        '<circle cx="160" cy="66" r="6" fill="{s}" opacity=".3"/>'
    ),
    "candle": (
        '<rect x="92" y="92" width="56" height="86" rx="8" fill="{b}"/>'
        '<path d="M120 52c14 18 12 34 0 36-12-2-14-18 0-36z" fill="#e9a23b"/>'
        '<path d="M120 92v-10" stroke="{s}" stroke-width="3"/>'
    ),
    "cushion": (
        '<path d="M58 70c40 8 84 8 124 0-8 36-8 68 0 104-40-8-84-8-124 0 8-36 8-68 0-104z" fill="{b}"/>'
        '<path d="M120 92l10 20 22 10-22 10-10 20-10-20-22-10 22-10z" fill="{g}"/>'
    ),
    "basket": (
        '<path d="M60 104h120l-14 74H74z" fill="{b}"/>'
        '<path d="M74 104c0-62 92-62 92 0" fill="none" stroke="{s}" stroke-width="7"/>'
        '<path d="M64 124h112M68 144h104M72 162h96" stroke="{s}" stroke-width="3" opacity=".6"/>'
    ),
    "lamp": (
        '<path d="M92 56h56l22 66H70z" fill="{b}"/>'
        '<path d="M120 122v44" stroke="{s}" stroke-width="7"/>'
        '<rect x="86" y="164" width="68" height="12" rx="6" fill="{s}"/>'
    ),
    "plant": (
        '<path d="M84 126h72l-9 52H93z" fill="{b}"/>'
        '<g fill="{s}">'
        '<ellipse cx="120" cy="84" rx="10" ry="36"/>'
        '<ellipse cx="94" cy="96" rx="9" ry="32" transform="rotate(-28 94 96)"/>'
        '<ellipse cx="146" cy="96" rx="9" ry="32" transform="rotate(28 146 96)"/>'
        "</g>"
    ),
}


def draw(index: int) -> str:
    """The picture of one product as SVG; colours follow its number."""
    item = goods.ITEMS[index]
    ground, body, shade = goods.PALETTES[(index * 5 + index // 6) % len(goods.PALETTES)]
    shape = _SHAPES[item.shape].format(g=ground, b=body, s=shade)
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 240 240" role="img" aria-hidden="true">'
        f'<rect width="240" height="240" fill="{ground}"/>'
        f'<ellipse cx="120" cy="182" rx="74" ry="9" fill="{shade}" opacity=".16"/>{shape}</svg>'
    )
