"""The policy's epoch: moved in the transaction of whatever workers must obey, and announced.

Called by every store of the registry plane that changes what letters are judged or made by.
"""

from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncConnection

from dispatcher.store.database import Database

POLICY_CHANNEL: Final = "dispatcher_policy"
_BUMP: Final = """
UPDATE {policy} SET epoch = epoch + 1 WHERE id = 1 RETURNING epoch, revision, {now} AS now_us
"""


async def bump_epoch(database: Database, connection: AsyncConnection) -> Any:
    """Move the epoch on; give it, the revision in force and the time. Others wait until the end."""
    return (await database.execute(connection, _BUMP)).one()


async def announce(database: Database, connection: AsyncConnection) -> None:
    """Have workers read the policy once this transaction is durable."""
    if not database.is_sqlite:
        await connection.exec_driver_sql(f"NOTIFY {POLICY_CHANNEL}")
