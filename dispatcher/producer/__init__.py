"""What a product service uses: put an event into the outbox, inside its own transaction.

    from dispatcher.producer import EnqueueRefused, enqueue

Needs nothing but the base package. It never commits, rolls back or opens a connection.
"""

from dispatcher.model.errors import EnqueueRefused
from dispatcher.producer.enqueueing import enqueue

__all__ = ["EnqueueRefused", "enqueue"]
