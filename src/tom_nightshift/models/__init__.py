"""What is stored."""

from tom_nightshift.models.attempt import Attempt
from tom_nightshift.models.job import Job, JobQuerySet
from tom_nightshift.models.limit import Limit
from tom_nightshift.models.log import Log
from tom_nightshift.models.picture import Picture
from tom_nightshift.models.place import Place
from tom_nightshift.models.queue import Queue
from tom_nightshift.models.value import Value
from tom_nightshift.models.worker import Worker

__all__ = ["Attempt", "Job", "JobQuerySet", "Limit", "Log", "Picture", "Place", "Queue", "Value", "Worker"]
