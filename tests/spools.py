"""All that a scope has, as an export takes it."""


class List:
    def __init__(self) -> None:
        self.entries = []

    def clear(self) -> None:
        self.entries.clear()

    def add(self, entries) -> None:
        self.entries += entries


async def entries_of(archive, scope):
    spool = List()
    await archive.spool(scope, spool)
    return spool.entries
