"""The schema of a link in PostgreSQL, which is the link's prefix: who makes it, and who may use it.

`hello` makes the tables, once; a role that may not needs what this prints as a program, from somebody who
may: `python -m runcast.link.postgres_schema --role ROLE`.
"""

from __future__ import annotations

import argparse
from typing import Final

from runcast.link.postgres_tables import DEFINITION

__all__ = ["CHANNEL", "VERSION", "quoted", "rights", "tables"]

VERSION: Final = 1
CHANNEL: Final = "runcast_"  # of notifications, with the number of the link that listens


def quoted(name: str) -> str:
    """Return a name as SQL has it."""
    return '"{}"'.format(name.replace('"', '""'))


def tables(schema: str) -> str:
    """Return the SQL that makes tables and functions, in a schema that is there."""
    return DEFINITION.replace("~.", f"{quoted(schema)}.").strip()


def rights(schema: str, role: str) -> str:
    """Return the SQL that gives a role what a link needs."""
    name, who = quoted(schema), quoted(role)
    return (
        f"GRANT USAGE ON SCHEMA {name} TO {who};\n"
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {name} TO {who};\n"
        f"GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA {name} TO {who};"
    )


def main() -> None:
    """Print it all, for `psql`."""
    parser = argparse.ArgumentParser(
        prog="python -m runcast.link.postgres_schema",
        description="Print the SQL that makes the tables of a store that is shared through PostgreSQL, for "
        "hosts whose role may not make them: pipe it into psql as a role that may.",
    )
    parser.add_argument("--prefix", default="runcast", help="the schema: what the store's URL has as prefix")
    parser.add_argument("--role", help="the role of the hosts, which is given the rights that they need")
    given = parser.parse_args()
    print(f"BEGIN;\nCREATE SCHEMA {quoted(given.prefix)};\n{tables(given.prefix)}")
    if given.role:
        print(rights(given.prefix, given.role))
    print("COMMIT;")


if __name__ == "__main__":
    main()
