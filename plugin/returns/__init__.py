"""Returns, and what shoppers do about their own orders."""
