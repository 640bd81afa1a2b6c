"""Running the user's predictor: replicas as processes, workloads handed over, outcomes brought to the store."""

from ringback.work.engine import local_engine
from ringback.work.pool import Pool

__all__ = ["Pool", "local_engine"]
