"""The words of the withdrawal function in the official languages of the Union, one catalogue for each beside this file.

The screens, the receipt and what is said about what is missing: whoever reads the law's label in Greek reads Greek to
the end (docs/withdrawal.md). English is in the sources; Arabic and Hebrew are with the rest of the house's words.
"""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Final

from plugin.kernel.i18n import Catalogues, Language, Translator, read_language, zone_of

FOLDER: Final = Path(__file__).parent / "withdrawal_words"


def translator(catalogues: Catalogues, language: str, *, timezone: str = "UTC", digits: str = "latn") -> Translator:
    """Words of the withdrawal function for a page in `language` (`de-AT` is `de`); English for a language without."""
    own = _languages().get(language.replace("_", "-").partition("-")[0].lower())
    if own is not None:
        return Translator(own, zone_of(timezone), digits)
    return catalogues.translator(language, timezone=timezone, digits=digits)


@cache
def _languages() -> Mapping[str, Language]:
    """Read once, when somebody withdraws for the first time."""
    return {path.stem: read_language(path.stem, [path]) for path in sorted(FOLDER.glob("*.po"))}
