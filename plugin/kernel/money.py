"""Money is an integer of minor units, a currency, and the number of decimals it is written with."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from functools import lru_cache

# ISO 4217 exponents that differ from 2 (https://www.iso.org/iso-4217-currency-codes.html).
_EXPONENTS = {
    "BIF": 0, "CLP": 0, "DJF": 0, "GNF": 0, "ISK": 0, "JPY": 0, "KMF": 0, "KRW": 0, "PYG": 0, "RWF": 0,
    "UGX": 0, "UYI": 0, "VND": 0, "VUV": 0, "XAF": 0, "XOF": 0, "XPF": 0,
    "BHD": 3, "IQD": 3, "JOD": 3, "KWD": 3, "LYD": 3, "OMR": 3, "TND": 3,
    "CLF": 4, "UYW": 4,
}  # fmt: skip


def exponent_of(currency: str) -> int:
    """Decimals of an ISO 4217 currency; 2 when it is not one we know."""
    return _EXPONENTS.get(currency.upper(), 2)


@dataclass(frozen=True, slots=True, order=False)
class Money:
    """`amount` minor units of `currency`, where 10**`exponent` minor units make one unit."""

    amount: int
    currency: str
    exponent: int

    def decimal(self) -> Decimal:
        """The amount in units, exact."""
        return Decimal(self.amount).scaleb(-self.exponent)

    def __add__(self, other: Money) -> Money:
        self._same(other)
        return Money(self.amount + other.amount, self.currency, self.exponent)

    def __sub__(self, other: Money) -> Money:
        self._same(other)
        return Money(self.amount - other.amount, self.currency, self.exponent)

    def _same(self, other: Money) -> None:
        if (self.currency, self.exponent) != (other.currency, other.exponent):
            raise ValueError(f"cannot combine {self.currency}/{self.exponent} with {other.currency}/{other.exponent}")


# Prices repeat; by type too, because 1.0 is 1 and must be refused all the same.
@lru_cache(maxsize=8192, typed=True)
def parse(text: str | int | Decimal, currency: str, decimals: int | None = None) -> tuple[Money, bool]:
    """Read a platform's amount.

    `decimals` is the shop's own setting; the larger of it and the currency's ISO exponent is used. Returns the
    money and whether it was exact: what does not fit is rounded half to even and the raw payload keeps the rest.
    Raises ValueError on what is no number.
    """
    if isinstance(text, float):
        raise TypeError("money is never read from a float")
    exponent = max(exponent_of(currency), decimals or 0)
    try:
        value = Decimal(text if not isinstance(text, str) else text.strip())
    except InvalidOperation as error:
        raise ValueError(f"not an amount: {text!r}") from error
    if not value.is_finite() or abs(value) >= Decimal(10) ** 15:
        raise ValueError(f"not an amount: {text!r}")
    minor = value.scaleb(exponent)
    rounded = minor.to_integral_value()
    return Money(int(rounded), currency.upper(), exponent), minor == rounded
