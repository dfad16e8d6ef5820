"""A connection's settings in a session that others use too."""

from __future__ import annotations

from pytest_slipstream.databases.routing.drivers.asyncpg_settings import Settings, resets

DEFAULTS = ("RESET ALL", "RESET ROLE")


def test_nothing_set_needs_nothing() -> None:
    assert Settings().missing(()) == ()
    assert Settings().missing(None) == DEFAULTS
    assert Settings().missing(("SET a = 1",)) == DEFAULTS


def test_a_setting_lasts() -> None:
    settings = Settings()
    settings.done("set a = 1", within=False)
    assert settings.missing(()) == (*DEFAULTS, "set a = 1")
    assert settings.missing(("set a = 1",)) == ()


def test_one_in_a_transaction_lasts_if_it_commits() -> None:
    settings = Settings()
    settings.done("set a = 1", within=True)
    assert settings.wanted == ("set a = 1",)
    settings.ended(committed=True)
    assert settings.wanted == ("set a = 1",)
    settings.done("set a = 2", within=True)
    settings.ended(committed=False)
    assert settings.wanted == ("set a = 1",)


def test_a_local_one_ends_with_its_transaction() -> None:
    settings = Settings()
    settings.done("SET LOCAL a = 1", within=True)
    settings.done("select set_config('b', '1', true)", within=True)
    assert len(settings.wanted) == 2
    settings.ended(committed=True)
    assert settings.wanted == ()


def test_one_whose_values_are_not_known_makes_the_session_dirty_at_the_end() -> None:
    settings = Settings()
    settings.done("select set_config('b', $1, true)", within=True)
    assert settings.wanted == ()
    assert not settings.dirty
    settings.ended(committed=True)
    assert settings.dirty


def test_a_local_one_outside_of_a_transaction_has_no_effect() -> None:
    settings = Settings()
    settings.done("set local a = 1", within=False)
    assert settings.wanted == ()
    assert settings.dirty


def test_everything_is_reset() -> None:
    settings = Settings()
    settings.done("set a = 1", within=False)
    settings.done("RESET ALL", within=False)
    assert settings.wanted == ()
    assert resets("CLOSE ALL;\nRESET ALL;")
    assert not resets("select 'presets all'")


def test_what_is_no_setting() -> None:
    settings = Settings()
    for sql in ("set constraints all immediate", "select 1", "update t set a = 1"):
        settings.done(sql, within=False)
    assert settings.wanted == ()


def test_what_is_known_of_a_session_after_a_statement() -> None:
    settings = Settings()
    set_it = "set a = 1"
    assert settings.after(set_it, None, within=False, shared=True, applied=()) == (set_it,)
    assert settings.after("ROLLBACK", "ROLLBACK", within=False, shared=True, applied=None) is None
    assert settings.after("select 1", None, within=False, shared=False, applied=None) == (set_it,)
    local = "set local a = 2"
    assert settings.after(local, None, within=True, shared=True, applied=(set_it,)) == (
        set_it,
        local,
    )
    after = settings.after("COMMIT", "COMMIT", within=False, shared=True, applied=(set_it, local))
    assert after == (set_it, local)
    assert settings.missing(after) == (*DEFAULTS, set_it)
