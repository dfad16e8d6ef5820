"""Whole runs with ``hashing = "cheap"`` and nothing else."""

from __future__ import annotations

import pytest

from projects import Project

ACCOUNTS = """
    from bcrypt import checkpw, gensalt, hashpw

    AT_IMPORT = hashpw(b"root", gensalt())


    def sign_up(word):
        return hashpw(word, gensalt(13))
"""
SUITE = """
    import threading

    import pytest
    from werkzeug.security import generate_password_hash

    import accounts


    @pytest.fixture
    def signed_up():
        return accounts.sign_up(b"secret")


    def test_signs_up(signed_up):
        assert accounts.checkpw(b"secret", signed_up)
        assert accounts.checkpw(b"root", accounts.AT_IMPORT)
        assert signed_up[4:6] == accounts.AT_IMPORT[4:6] == b"04"


    def test_the_rounds_are_what_policy_demands(signed_up):
        assert signed_up[4:6] == b"13"


    class TestSecond:
        def test_in_a_thread(self):
            made = []
            thread = threading.Thread(target=lambda: made.append(accounts.sign_up(b"secret")))
            thread.start()
            thread.join()
            assert made[0][4:6] == b"04"
"""


@pytest.fixture
def project(pytester: pytest.Pytester) -> Project:
    project = Project(pytester, '[tool.slipstream]\nhashing = "cheap"\n')
    project.write({"accounts.py": ACCOUNTS})
    return project


def test_tests_about_the_cost_are_left_alone(project: Project) -> None:
    result = project.run(tests=SUITE)

    result.assert_outcomes(passed=3)
    result.stdout.fnmatch_lines(
        [
            "passwords hashed at least cost: 3 by bcrypt",
            "hashed at full cost: 1",
            "  test_the_rounds_are_what_policy_demands: its source speaks of the cost",
        ]
    )


def test_without_the_setting_nothing_is_cheap(project: Project) -> None:
    project.configure("")

    result = project.run("-k", "policy", tests=SUITE)

    result.assert_outcomes(passed=1, deselected=2)
    result.stdout.no_fnmatch_line("*hashed*")


def test_the_command_line_goes_before_the_file(project: Project) -> None:
    result = project.run("--slipstream-hashing", "full", "-k", "signs_up", tests=SUITE)

    result.assert_outcomes(failed=1, deselected=2)


def test_an_application_that_is_imported_before_the_plugin(project: Project) -> None:
    accounts = """
        from werkzeug.security import generate_password_hash


        class OldWarning(Warning):
            pass
    """
    suite = """
        import accounts


        def test_signs_up():
            assert accounts.generate_password_hash("secret").startswith("scrypt" + ":128:1:1$")
    """
    project.write({"accounts.py": accounts})

    result = project.run("-W", "error::accounts.OldWarning", tests=suite)

    result.assert_outcomes(passed=1)


def test_another_library_of_that_name_is_left_alone(project: Project) -> None:
    project.write({"bcrypt.py": "def hashpw(word, salt): return word + salt\n"})

    result = project.run(
        tests="""
            import bcrypt


            def test_hashes():
                assert bcrypt.hashpw(b"a", b"b") == b"ab"
        """
    )

    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["hashed at full cost: 1", "  bcrypt: AttributeError: *gensalt*"])
