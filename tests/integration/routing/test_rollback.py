"""Under `rollback` what the application commits is seen by all of its connections, and is gone."""

from __future__ import annotations

from projects import Project

COMMITTING = """
    import pytest
    from sqlalchemy.exc import IntegrityError
    from app import db

    @pytest.mark.parametrize("n", range(5))
    def test_commits(n):
        assert db.names() == []
        assert db.roles() == ["admin", "member"]
        assert db.add("ada") == 1
        assert db.names() == ["ada"]
        with pytest.raises(IntegrityError):
            db.add("ada")
        assert db.add("bob") > 1
        assert db.names() == ["ada", "bob"]
"""


def strategies(project: Project) -> set[str]:
    return {event["strategy"] for event in project.events("TestCleaned")}


def test_commits_and_errors_are_rolled_back(project: Project) -> None:
    result = project.run("--slipstream-audit", tests=COMMITTING)
    result.assert_outcomes(passed=5)
    assert strategies(project) == {"rollback"}
    assert project.events("Uncontained") == []
