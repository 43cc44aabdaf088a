"""The plugin in a pytest of its own, in a folder of its own: what a product team runs."""

import pytest

from tests.support.integrations import write_integrations

pytest_plugins = ["pytester"]

PASSES = """
    PAYLOAD = {"id": "o-1", "customer": {"email": "ann@acme.org", "phone": "+4915112345"}}

    def test_acme_sees_no_phone(partners):
        view = partners["acme-orders"].sees("order.paid", PAYLOAD, subjects=["ann"])
        view.assert_hides("$.customer.phone")
        assert view.data["id"] == "o-1"

    def test_nobody_sees_a_mail(partners):
        for partner in partners.of("order.paid"):
            for seed in "abc":
                view = partner.sees("order.paid", partners.sample("order.paid", seed))
                assert "$.customer.email" not in view.sees
"""
FAILS = """
    def test_acme_sees_no_mail(partners):
        payload = {"id": "1", "customer": {"email": "a@b.c"}}
        view = partners["acme-orders"].sees("order.paid", payload)
        view.assert_hides("$.customer.email")
"""


@pytest.fixture
def run(pytester, monkeypatch):
    """Run pytest with this plugin alone, on the registry files of the folder it runs in."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    write_integrations(pytester.path / "integrations")

    def start(*arguments, ini="dispatcher_registry = integrations"):
        (pytester.path / "pytest.ini").write_text(f"[pytest]\n{ini}\n")
        plugin = ("-p", "dispatcher.testing.plugin", "-p", "no:cacheprovider")
        return pytester.runpytest_subprocess(*plugin, *arguments)

    return start


def test_tests_of_what_partners_see_pass(run, pytester):
    pytester.makepyfile(PASSES)
    done = run()
    done.assert_outcomes(passed=2)
    done.stdout.fnmatch_lines(["dispatcher: registry */integrations; leak guard *"])


def test_a_failure_names_partner_path_and_class_and_shows_no_code_of_ours(run, pytester):
    pytester.makepyfile(FAILS)
    done = run()
    done.assert_outcomes(failed=1)
    email = "$.customer.email"
    named = f"{email} (confidential contact, pseudonym(customer))"
    done.stdout.fnmatch_lines(
        [
            f"E*acme-orders (connector acme) sees {named}, which the test hides",
            f"E*leaves   {email} confidential contact, pseudonym(customer)",
        ]
    )
    assert "_conclude" not in done.stdout.str()


def test_the_command_line_names_another_registry(run, pytester):
    write_integrations(pytester.path / "others", registry="[policy]\n")
    pytester.makepyfile("def test_it(partners):\n    assert len(partners) == 0\n")
    run("--dispatcher-registry", "others").assert_outcomes(passed=1)


def test_without_a_registry_it_is_said_where_to_name_one(run, pytester):
    pytester.makepyfile(PASSES)
    done = run(ini="")
    done.assert_outcomes(errors=2)
    done.stdout.fnmatch_lines(["*no registry: write dispatcher_registry = *"])


def test_a_registry_that_cannot_be_read_is_named(run, pytester):
    (pytester.path / "integrations" / "bad.toml").write_text("[[nothing]]\n")
    pytester.makepyfile(PASSES)
    done = run()
    done.assert_outcomes(errors=2)
    done.stdout.fnmatch_lines(["*registry_invalid (*bad.toml): there is no kind 'nothing'*"])


def test_a_pytest_that_asks_for_nothing_loads_nothing_and_says_nothing(run, pytester):
    pytester.makepyfile(
        """
        import sys

        def test_it():
            ours = {name for name in sys.modules if name.startswith("dispatcher.")}
            assert ours == {"dispatcher.testing", "dispatcher.testing.plugin"}
        """
    )
    done = run(ini="")
    done.assert_outcomes(passed=1)
    assert "dispatcher: registry" not in done.stdout.str()


def test_a_test_can_use_a_registry_of_its_own(run, pytester):
    pytester.makepyfile(
        """
        import pytest
        from dispatcher.model.registry import Registry

        @pytest.fixture(scope="session")
        def dispatcher_registry():
            return Registry()

        def test_it(partners):
            assert list(partners) == []
        """
    )
    run(ini="").assert_outcomes(passed=1)
