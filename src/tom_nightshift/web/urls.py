"""Where our pages live, below ``/nightshift/``."""

from __future__ import annotations

from django.urls import path

from tom_nightshift.web.views import actions, files, job, jobs, poll, target

app_name = "nightshift"

urlpatterns = [
    path("", jobs.jobs, name="jobs"),
    path("poll/", poll.poll, name="poll"),
    path("jobs/<int:job_id>/", job.job, name="job"),
    path("jobs/<int:job_id>/live/", job.live, name="job-live"),
    path("jobs/<int:job_id>/again/", actions.again, name="again"),
    path("jobs/<int:job_id>/stop/", actions.stop, name="stop"),
    path("jobs/<int:job_id>/stop-whole/", actions.stop_whole, name="stop-whole"),
    path("jobs/<int:job_id>/pictures/<int:pk>/", files.picture, name="picture"),
    path("jobs/<int:job_id>/log.txt", files.log, name="log"),
    path("targets/<int:pk>/", target.target, name="target"),
    path("targets/<int:pk>/offers/<slug:slug>/", target.take_up, name="offer"),
]
