"""Privacy: who read whose data, what must be erased or handed out and by when, what has been kept long enough."""

from plugin.privacy.access import AccessLog, log_access
from plugin.privacy.erase import redact_customer, redact_store
from plugin.privacy.export import data_request
from plugin.privacy.keeping import RetentionPeriod, retention
from plugin.privacy.requests import (
    CUSTOMER_REDACT,
    DATA_REQUEST,
    DEADLINE,
    DONE,
    OPEN,
    READY,
    SHOP_REDACT,
    SKIPPED,
    PrivacyRequest,
    fetched,
    handed_over,
    open_requests,
    receive,
    request,
    settled_requests,
)

__all__ = [
    "CUSTOMER_REDACT",
    "DATA_REQUEST",
    "DEADLINE",
    "DONE",
    "OPEN",
    "READY",
    "SHOP_REDACT",
    "SKIPPED",
    "AccessLog",
    "PrivacyRequest",
    "RetentionPeriod",
    "data_request",
    "fetched",
    "handed_over",
    "log_access",
    "open_requests",
    "receive",
    "redact_customer",
    "redact_store",
    "request",
    "retention",
    "settled_requests",
]
