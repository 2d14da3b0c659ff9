"""What searching counts and times, in Prometheus' terms; tmportal/metrics.py hands it out."""

from prometheus_client import Counter, Histogram

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
"""Upper edges of the buckets of every histogram here, in seconds."""

SEARCHES = Counter("tmportal_searches", "Searches that ended, by how.", ["outcome"])
SEARCH_SECONDS = Histogram("tmportal_search_seconds", "Seconds from upload to done.", buckets=SECONDS)
STAGE_SECONDS = Histogram("tmportal_search_stage_seconds", "Seconds of each stage.", ["stage"], buckets=SECONDS)
QUESTION_SECONDS = Histogram(
    "tmportal_question_seconds", "Seconds to answer a refined list or a search by words.", ["outcome"], buckets=SECONDS
)
