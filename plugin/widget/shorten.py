"""The loader without what is only for its readers: comments, spaces, and the length of its own names.

Shopify's CDN does this to the extension's copy by itself
(https://shopify.dev/docs/storefronts/themes/best-practices/performance/platform); here is the same for the copy that we
deliver. Not a minifier for any script: it knows the JavaScript that `loader.js` is written in (semicolons everywhere,
one `let` or `const` a name, no defaults in patterns, a name of its own never hides a global that is used elsewhere).
The browser's tests run what it makes.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import product
from string import ascii_letters

_TOKEN = re.compile(
    r"""(?P<comment>//[^\n]*) | (?P<space>\s+) | (?P<text>"(?:[^"\\]|\\.)*") | (?P<template>`[^`]*`)
    | (?P<pattern>(?<![\w)\]]\ )/(?:[^/\\\n]|\\.)+/[a-z]*) | (?P<word>[\w$]+) | (?P<sign>\.\.\.|=>|\?\.|.)""",
    re.VERBOSE | re.DOTALL,
)
_DECLARED = re.compile(r"\b(?:const|let) (\w+|[{\[][^}\]]*[}\]])(?: of| in| =|;)|\((\w[\w, .=]*|\{[^}]*\})\) =>")
_SHORTER = {"const": "let", "true": "!0", "false": "!1"}
_LONE = re.compile(r"\((\w+)\)=>")
_HOLE = re.compile(r"\$\{([^}]*)\}")


def shortened(script: str) -> str:
    """The same program in fewer bytes."""
    return _LONE.sub(r"\1=>", _written(script, _names(script)))


def _names(script: str) -> Mapping[str, str]:
    """A letter or two for every name the script declares, the shortest for the most used."""
    places = ["".join(found) for found in _DECLARED.findall(script)]
    declared = {name for names in places for name in re.findall(r"\w+(?![\w:])", names)}
    used = Counter(re.findall(r"\w+", script))
    letters = ("".join(pair) for size in (1, 2) for pair in product(ascii_letters, repeat=size))
    free = (short for short in letters if short not in used)
    return {name: next(free) for name in sorted(declared, key=lambda name: (-used[name], name)) if len(name) > 1}


def _written(script: str, names: Mapping[str, str]) -> str:
    tokens = [*_tokens(script), ("end", "")]
    written: list[str] = []
    around: list[str] = []
    declaring: set[int] = set()  # at which depths the statement that is being written declares something
    for number, (kind, token) in enumerate(tokens[:-1]):
        before, after = tokens[number - 1][1] if number else "", tokens[number + 1][1]
        depth = len(around)
        if token in ("(", "[", "{"):
            around.append(token)
        elif token in (")", "]", "}"):
            around.pop()
            declaring.discard(depth)
        if kind == "word" and token in ("const", "let"):
            if before == ";" and depth in declaring:
                written[-1] = ","
                continue
            declaring.add(depth)
        elif before == ";":
            declaring.discard(depth)
        if kind == "word":
            key = around[-1:] == ["{"] and before in ("{", ",")
            if token in names and before not in (".", "?.") and not (key and after == ":"):
                token = f"{token}:{names[token]}" if key and after in (",", "}") else names[token]
            token = _SHORTER.get(token, token)
            if written and re.match(r"[\w$]", written[-1][-1]):
                written.append(" ")
        elif kind == "template":
            token = _HOLE.sub(lambda hole: f"${{{_written(hole[1], names)}}}", token.replace("}\n", "}"))
        elif token in ("}", "]", ")") and before in (";", ","):
            written.pop()
        written.append(token)
    return "".join(written)


def _tokens(script: str) -> Iterator[tuple[str, str]]:
    for found in _TOKEN.finditer(script):
        if found.lastgroup not in ("comment", "space"):
            yield str(found.lastgroup), found[0]
