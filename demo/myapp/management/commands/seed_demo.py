"""``manage.py seed_demo``: the people and the targets of the demo."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import Group, User
from django.core.management.base import BaseCommand, CommandParser
from guardian.shortcuts import assign_perm
from tom_targets.models import Target

TARGETS = (
    # name, RA, Dec (ICRS degrees), whether the collaborator may see it
    ("M13", 250.4235, 36.4613, True),
    ("M92", 259.2808, 43.1359, True),
    ("A candidate of the PI's own", 83.8221, -5.3911, False),
)
RIGHTS = ("view_target", "change_target", "delete_target")


class Command(BaseCommand):
    """Makes two people who share a group, and three targets of which they share two."""

    help = "Make the people and the targets of the demo."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("pi_password")
        parser.add_argument("collab_password")

    def handle(self, *args: Any, **options: Any) -> None:
        team, _ = Group.objects.get_or_create(name="Demo team")
        pi = _person(
            "pi", options["pi_password"], team, first_name="Petra", last_name="Inverno", is_staff=True
        )
        collab = _person("collab", options["collab_password"], team, first_name="Carl", last_name="Laborator")
        for name, ra, dec, shared in TARGETS:
            target, _ = Target.objects.get_or_create(
                name=name, type="SIDEREAL", ra=ra, dec=dec, permissions="PRIVATE"
            )
            for person in [pi, collab] if shared else [pi]:
                for right in RIGHTS:
                    assign_perm(f"tom_targets.{right}", person, target)


def _person(username: str, password: str, team: Group, **more: Any) -> User:
    person, _ = User.objects.get_or_create(username=username, defaults=more)
    person.set_password(password)
    person.save()
    person.groups.add(team)
    return person
