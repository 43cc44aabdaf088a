"""What time a database thinks it is. Asked by `doctor`."""

from dispatcher.store.database import Database


async def database_us(database: Database) -> int:
    """Give the database server's time in microseconds; an embedded one has its process's."""
    async with database.look() as connection:
        found = await database.execute(connection, "SELECT {now} AS now_us")
        return int(found.scalar_one())
