"""Distinct types for the identifiers that travel through the house.

An id is never parsed for meaning. Ids that leave the building (`WebhookId`) are random and belong
to one event and one subscription, so two partners cannot join their copies by them.
"""

from typing import NewType

EventId = NewType("EventId", str)
DeliveryId = NewType("DeliveryId", int)
WebhookId = NewType("WebhookId", str)
ScopeId = NewType("ScopeId", str)
LeaseToken = NewType("LeaseToken", str)
WorkerId = NewType("WorkerId", str)
Revision = NewType("Revision", int)
Epoch = NewType("Epoch", int)
Lane = NewType("Lane", str)
WindowId = NewType("WindowId", int)

INTAKE = Lane("")
"""The lane of a row that is an event not yet planned: the relay's own queue."""


def lane_of(subscription: str, event_type: str) -> Lane:
    """Name the lane of one subscription and one event type."""
    return Lane(f"{subscription}/{event_type}")
