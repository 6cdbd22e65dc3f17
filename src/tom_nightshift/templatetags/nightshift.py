"""The one template tag that our pages need."""

from __future__ import annotations

from django import template
from django.templatetags.static import static

register = template.Library()


@register.simple_tag
def nightshift_asset(name: str) -> str:
    """The address of one of our static files; empty where it has not been collected yet.

    A manifest storage raises then, and this stands on every page of the TOM.
    """
    try:
        return static(f"tom_nightshift/{name}")
    except ValueError:
        return ""
