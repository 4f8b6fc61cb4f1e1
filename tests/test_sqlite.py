"""A store in a file keeps to the contract."""

from pathlib import Path

from crdtmem import Store
from crdtmem.sqlite import SqliteStore
from tests.store_contract import StoreContract


class TestSqliteStore(StoreContract):
    def make(self, folder: Path) -> Store:
        return SqliteStore(folder / "log.db")
