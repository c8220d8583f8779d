"""Acting on an order from the panel: who may, what they see first, and how it ends. The store is the real simulator."""

from __future__ import annotations
