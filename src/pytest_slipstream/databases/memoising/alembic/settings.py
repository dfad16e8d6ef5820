"""What a project's ``env.py`` has set for a run of migrations.

The invariant: two equal settings decide alike about all that migrations do.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext

from pytest_slipstream.databases.memoising.alembic.scripts import LIBRARIES
from pytest_slipstream.databases.memoising.ledger import UnknownResultError
from pytest_slipstream.databases.memoising.sqlalchemy.snapshot import compiled_by_user

_DECIDING = frozenset(
    (
        "as_sql",
        "destination_rev",
        "dont_mutate",
        "literal_binds",
        "purge",
        "starting_rev",
        "tag",
        "transaction_per_migration",
        "transactional_ddl",
        "version_table",
        "version_table_pk",
        "version_table_schema",
    )
)
# Of no effect on migrations that are run: how others are written, and what is in the key elsewhere.
_WITHOUT_EFFECT = frozenset(
    (
        "alembic_module_prefix",
        "autogenerate_plugins",
        "compare_server_default",
        "compare_type",
        "downgrade_token",
        "fn",
        "include_name",
        "include_object",
        "include_schemas",
        "include_symbol",
        "on_version_apply",
        "output_buffer",
        "output_encoding",
        "process_revision_directives",
        "render_as_batch",
        "render_item",
        "script",
        "sqlalchemy_module_prefix",
        "target_metadata",
        "template_args",
        "upgrade_token",
        "user_module_prefix",
    )
)
_PLAIN = (str, int, float, type(None))


def settings(context: MigrationContext, options: dict[str, Any]) -> Hashable:
    """All that the project has set for this run.

    Raises:
        UnknownResultError: It has set what nobody can compare.
    """
    opts = context.opts
    unknown = sorted(opts.keys() - _DECIDING - _WITHOUT_EFFECT)
    if unknown:
        raise UnknownResultError(f"the option {unknown[0]} of context.configure")
    if opts.get("on_version_apply"):
        raise UnknownResultError("a function that is called for each migration")
    if opts.get("version_table_schema"):
        raise UnknownResultError("a version table in a schema of its own")
    if not all(isinstance(value, _PLAIN) for value in options.values()):
        raise UnknownResultError("arguments of context.run_migrations")
    if not type(context.impl).__module__.startswith("alembic."):
        raise UnknownResultError(f"{type(context.impl).__qualname__}, which is not Alembic's")
    for function in Operations._to_impl._registry.values():
        if function.__module__.partition(".")[0] not in LIBRARIES:
            raise UnknownResultError(f"the project's own operation, {function.__qualname__}")
    if reason := compiled_by_user(context.dialect.name):
        raise UnknownResultError(reason)
    deciding = tuple(repr(opts.get(name)) for name in sorted(_DECIDING))
    return (deciding, repr(sorted(options.items())))
