"""Greetings, thanks and goodbyes: what people say without asking anything. Pure."""

from __future__ import annotations

import re
from enum import StrEnum

from plugin.kernel.text import search_key


class Manner(StrEnum):
    """What a message is besides a question."""

    GREETING = "greeting"
    THANKS = "thanks"


_GREETINGS = """
hi | hii | hiii | hey | heyy | hello | helo | hallo | good morning | good evening | good afternoon | good day
greetings | hi there | hello there | hey there | anyone there | are you there | salam | salaam | salam alaikum
salamu alaikum
assalamu alaikum | alsalam alaikum | slm | marhaba | mar7aba | marhaban | ahlan | ahlen | ahlein | hala | hala wallah
sabah el kheir | saba7 el 5er | saba7 el kher | masa el kheir | masa2 el 5er | labas | azul | shalom | bonjour | salut
how are you | how r u | kifak | kifik | ezayak | ezayek | shlonak | shlonik | labas alik | kif halek
سلام | السلام | السلام عليكم | السلام عليكم ورحمة الله | السلام عليكم ورحمة الله وبركاته | سلام عليكم | مرحبا | مرحبًا
أهلا | أهلًا | أهلين | أهلا وسهلا | هلا | هلا والله | هاي | هالو | الو | صباح الخير | مساء الخير | صباح النور | يا هلا
كيف الحال | كيفك | كيفكم | شلونك | شلونكم | ازيك | ازيكم | إزيكم | لباس | لا باس | حد موجود | في حد | يسعد مساك
שלום | היי | הי | אהלן | הלו | בוקר טוב | ערב טוב | צהריים טובים | לילה טוב | מה שלומכם | מה נשמע | מה קורה | יש מישהו
"""
_THANKS = """
thanks | thank you | thank u | thx | tnx | ty | thanks a lot | thank you very much | thank you so much | many thanks
great | great thanks | perfect | perfect thanks | ok | okay | ok thanks | ok thank you | got it | cool | nice | bye
goodbye | bye bye | have a nice day | that s all | that is all | no thanks | no thank you | all good | cheers | merci
shukran | shokran | choukran | chokran | mashkoor | mashkour | yeslamo | yislamo | tslam | tamam | toda | todah
sababa
شكرا | شكرًا | شكرا جزيلا | شكرا لك | شكرا لكم | مشكور | مشكورين | مشكورة | يعطيك العافية | يعطيكم العافية | تسلم | تسلمي
تسلموا | يسلمو | ممتاز | تمام | تمام شكرا | طيب | طيب شكرا | اوكي | أوكي | حسنا | ماشي
خلاص | مع السلامة | باي | لا شكرا
بارك الله فيك | جزاك الله خيرا | الله يعطيك العافية | ميرسي | زين | أحسنت | صحيت | يكثر خيرك
תודה | תודה רבה | תודה לכם | מעולה | מצוין | סבבה | אוקיי | אוקי | בסדר | טוב תודה | אחלה | ביי | להתראות | לא תודה
יופי
"""


def _folded(lines: str) -> frozenset[str]:
    return frozenset(key for one in re.split(r"[|\n]", lines) if (key := search_key(one).strip()))


_SAID = {Manner.GREETING: _folded(_GREETINGS), Manner.THANKS: _folded(_THANKS)}
_LONGEST = 6
"""Words of a message that is only a manner."""


def manner(text: str) -> Manner | None:
    """What a message is that asks nothing; None when it may ask something."""
    words = search_key(text).split()
    if not words or len(words) > _LONGEST:
        return None
    found: Manner | None = None
    at = 0
    while at < len(words):
        for end in range(len(words), at, -1):
            known = next((one for one, said in _SAID.items() if " ".join(words[at:end]) in said), None)
            if known is not None:
                found = found or known
                at = end
                break
        else:
            return None
    return found
