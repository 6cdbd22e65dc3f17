"""What knows TOM Toolkit: uploads read in the background, who may see what, data products made by tasks.

Loaded by dotted name where TOM Toolkit is installed; nothing of it is patched or replaced::

    hooks         everything that is put in at start-up
    processors    what TOM Toolkit's own upload code is handed instead of its processors
    uploads       where an upload is read: in the request, or by a job
    tasks         the job that reads an upload
    extraction    finding sources: whether it can be done here, and the button for it
    products      data products, read and written for tasks
    rights        who may see what was made
    rules         who may see a job because of what it is about
"""
