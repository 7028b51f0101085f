"""What Alembic runs to migrate: it takes the connection that `history.database` has opened and locked.

A new revision is a file in `versions`, written by hand; a test compares the tables it leaves with `history.tables`.
"""

from __future__ import annotations

from alembic import context

from panda_core.history.tables import Base


def migrate() -> None:
    """Run the revisions that are missing, in the caller's transaction: all of them or none."""
    # Batch mode: SQLite cannot change a column, so Alembic copies the table.
    context.configure(connection=context.config.attributes["connection"], target_metadata=Base.metadata, render_as_batch=True)
    context.run_migrations()


# Alembic runs this file under this name; importing it like any other module does nothing.
if __name__ == "env_py":
    migrate()
