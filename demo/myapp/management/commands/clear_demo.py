"""``manage.py clear_demo``: remove what the measurement at set-up left behind."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand
from tom_dataproducts.models import DataProduct

from tom_nightshift.models import Job


class Command(BaseCommand):
    """Removes every data product and every job."""

    help = "Remove every data product and every job of the demo."

    def handle(self, *args: Any, **options: Any) -> None:
        for product in DataProduct.objects.all():
            product.data.delete(save=False)
            product.delete()
        Job.objects.all().delete()
