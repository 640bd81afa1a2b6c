"""Running the user's predictor: replicas as processes, workloads handed over, outcomes brought to the store."""

from ringback.work.engine import Engine, local_engine
from ringback.work.pool import Pool

__all__ = ["Engine", "Pool", "local_engine"]
