"""Arabic in Latin letters: recognised among all that is typed in them, and written out where we know the word."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugin.language.arabizi import is_arabizi, spelled_out

# Written for this test; none stands in latin.toml.
ARABIZI = """
wayn shahnati law samaht
3ndy talab w lesa ma weselsh
bedde 3ayyen elmaas
ana mesh la2y el ta2kid
hal fee twseel lel kuwait
bghit nchof suivi dyal commande
wach mazal 3ndkom stock
kifash ndir ila ma3jbnich
el bedla di metwafera bel ahmar
7abibi radd 3alaya
ma wasalatni el resala
ta2akharto ktir
abi a3arf el siyasa
sar li esboo3 antazer
el jawda mo zayna
lw sam7t
fi menno size large
ma l9itch bouton annuler
kifach ndir échange l sebbat
wach l paiement f site amen
code promo makhdamch
fin l facture dyal had la commande
chkoun li jawbni 3la l email
ma3ndich compte f site
""".strip().splitlines()

OTHER = """
where's my stuff bro
is it me or is the site down
can u ship 2 me
size 38 eu
i want 2 return it
ou est mon colis
mi pedido no llego
macbook air m3 13
need 3 of these
wanna buy the abaya
salam, where is my order
is the thobe available in 56
kaftan marrakech silk dress
oud perfume 100ml
do you ship to kuwait
comment faire un échange de chaussures
le paiement sur le site est sécurisé
mon code promo a expiré
où trouver la facture de ma commande
size large please
code promo
website payment
bye
yeah
hello
thanks
AB-10234
order EN1001-A
XXL
4k tv 55in
""".strip().splitlines()


@pytest.mark.parametrize("text", ARABIZI)
def test_arabizi_is_recognised(text: str) -> None:
    assert is_arabizi(text)
    assert is_arabizi(text.upper())


@pytest.mark.parametrize("text", OTHER)
def test_nothing_else_is_taken_for_it(text: str) -> None:
    assert not is_arabizi(text)


@given(st.text(max_size=300))
def test_nothing_is_lost_when_words_are_taken_apart(text: str) -> None:
    assert "".join(piece.text for piece in spelled_out(text)) == text
    assert isinstance(is_arabizi(text), bool)


def test_known_words_are_written_out_and_numbers_stay() -> None:
    assert [piece.arabic for piece in spelled_out("Échange")] == ["تبديل"]
    written = {piece.text: piece.arabic for piece in spelled_out("wen talabi 10234 AB-77 kteeeer")}
    assert written == {"wen": "وين", "talabi": "طلبي", "10234": "10234", "AB-77": None, "kteeeer": None, " ": " "}
