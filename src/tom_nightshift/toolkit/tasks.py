"""The job that reads an upload: TOM Toolkit's own code, with the TOM's own processor, in a worker."""

from __future__ import annotations

from typing import Any

import dramatiq
from django.db.models import Model
from tom_dataproducts.data_processor import run_data_processor
from tom_dataproducts.exceptions import InvalidFileFormatException
from tom_dataproducts.models import (
    REDUCED_DATUM_MODELS,
    AstrometryReducedDatum,
    DataProduct,
    PhotometryReducedDatum,
    SpectroscopyReducedDatum,
)

from tom_nightshift.exceptions import StopRequested, TaskError
from tom_nightshift.ledger.speaking import current_job, progress, say, start_over, step
from tom_nightshift.toolkit import products, rights, saving

WORDS: dict[type[Model], tuple[str, str]] = {
    PhotometryReducedDatum: ("photometry point", "photometry points"),
    SpectroscopyReducedDatum: ("spectrum", "spectra"),
    AstrometryReducedDatum: ("position", "positions"),
}


@dramatiq.actor(actor_name="nightshift.process_upload", title="Read data product {dataproduct_id}")
def process_upload(dataproduct_id: int, data_type: str = "") -> dict[str, Any]:
    """Read an uploaded file into the TOM, exactly as TOM Toolkit does in the request. It may run again.

    The data points and the rights on them are saved together: a job that is stopped has saved nothing.

    Parameters:
        data_type: read it as this type; by default as its own.

    Raises:
        TaskError: the file cannot be read: what TOM Toolkit says of it.
        Withdrawn: the upload has gone.
    """
    start_over()
    product = products.get(dataproduct_id)
    with products.not_withdrawn(product):
        products.require_file(product)
        with step("read the file"):
            progress(0, note=f"reading {product.get_file_name()}")
            with saving.all_or_nothing(product):
                _read(product, data_type)
                _give_rights(product)
    counts = _counts(products.get(dataproduct_id))
    summary = _in_words(counts)
    say(summary)
    return {"summary": summary, "facts": {many: f"{count:,}" for (_, many), count in counts.items()}}


def _read(product: DataProduct, data_type: str) -> None:
    """What TOM Toolkit says of a bad file is said here in its words; the upload stays."""
    try:
        run_data_processor(product, data_type or None)
    except (StopRequested, TaskError):
        raise
    except InvalidFileFormatException as error:
        raise TaskError(f"File format invalid for file {product} -- error was {error}") from error
    except Exception as error:
        raise TaskError(f"There was a problem processing your file: {product} -- Error: {error}") from error


def _give_rights(product: DataProduct) -> None:
    """Asked for now, not when the job was: the view gives the groups theirs after it has asked."""
    job = current_job()
    rights.grant_data(product, job.owner_id if job else None)


def _counts(product: DataProduct) -> dict[tuple[str, str], int]:
    """What there is of the product now, by its name in words: TOM Toolkit counts what it tried to add."""
    counted = {
        WORDS.get(model, ("data point", "data points")): model.objects.filter(data_product=product).count()
        for model in REDUCED_DATUM_MODELS
    }
    return {words: count for words, count in counted.items() if count}


def _in_words(counts: dict[tuple[str, str], int]) -> str:
    if not counts:
        return "read; it holds no data points that are new to this TOM"
    said = [f"{count:,} {one if count == 1 else many}" for (one, many), count in counts.items()]
    return f"{', '.join(said)} read"
