"""`manage.py runcast`: the command line, with the project's store."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from runcast.web.adapters.runcast_app import command_line
from runcast.web.django.views import cast

__all__ = ["Command"]


class Command(BaseCommand):
    """Hand all arguments on: options such as --help are runcast's."""

    help = "List, follow and stop the project's runs: manage.py runcast ls"

    def run_from_argv(self, argv: list[str]) -> None:
        """Become `runcast`."""
        command_line(cast().store, argv[2:])

    def handle(self, *args: Any, **options: Any) -> None:
        """Do the same for `call_command("runcast", "ls")`; does not return."""
        command_line(cast().store, args)

    def add_arguments(self, parser: Any) -> None:
        """Take whatever comes."""
        parser.add_argument("args", nargs="*")
