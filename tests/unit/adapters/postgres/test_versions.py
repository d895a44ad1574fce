import pytest

from agent_memory.adapters.postgres.versions import Found, lacking, unfit

NEW = Found(server="17.2", number=170002, installed="0.8.0", offered="0.8.0")


def found(**changes) -> Found:
    return Found(**{"server": NEW.server, "number": NEW.number, "installed": "0.8.0", "offered": "0.8.0"} | changes)


@pytest.mark.parametrize("version", ["0.8", "0.8.0", "0.8.1", "0.10.1", "0.8.0-dev", "1.0"])
def test_pgvector_of_0_8_or_later_will_do(version):
    assert lacking(found(installed=version, offered="0.7.4")) is None
    assert lacking(found(installed=None, offered=version)) is None


@pytest.mark.parametrize("version", ["0.7.4", "0.6.2", "0.7", "0.07.9", "next"])
def test_an_older_one_that_is_installed_is_named_with_what_is_needed(version):
    told = lacking(found(installed=version, offered=version))
    assert f"pgvector 0.8 or later is needed, and this database has {version}" in told
    assert "install" in told


def test_where_the_server_has_a_newer_one_it_is_told_how_to_take_it():
    told = lacking(found(installed="0.7.4", offered="0.8.1"))
    assert "0.7.4" in told
    assert "0.8.1" in told
    assert "ALTER EXTENSION vector UPDATE" in told


def test_a_server_that_offers_an_older_one_is_told_of_before_it_is_taken():
    assert "this server offers 0.7.4" in lacking(found(installed=None, offered="0.7.4"))


def test_a_server_that_has_none_is_told_so():
    assert "this server has none" in lacking(found(installed=None, offered=None))


@pytest.mark.parametrize(("number", "will_do"), [(150000, True), (180001, True), (140022, False), (90624, False)])
def test_postgresql_15_is_the_oldest(number, will_do):
    told = lacking(found(server="its name", number=number))
    assert (told is None) == will_do
    assert will_do or "PostgreSQL 15 or later is needed, and this one is its name" in told


@pytest.mark.parametrize("encoding", ["SQL_ASCII", "LATIN1", "EUC_JP"])
def test_another_encoding_than_utf8_is_named_with_what_is_needed(encoding):
    told = unfit(encoding)
    assert f"encoding UTF8 is needed, and this one has {encoding}" in told
    assert "ENCODING 'UTF8'" in told


@pytest.mark.parametrize("encoding", ["UTF8", None])
def test_utf8_will_do_and_so_does_what_nobody_tells(encoding):
    assert unfit(encoding) is None
