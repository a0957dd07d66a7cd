"""The last file of a plan, after deploys/all.py: reads what a plan shows beyond the facts."""

from deploys.seeing.sight import look

look()
