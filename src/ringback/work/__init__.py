"""Running the user's predictor: replicas as processes, workloads handed over, outcomes brought to the store."""

from ringback.work.engine import Engine, LocalEngine, local_engine
from ringback.work.pool import Pool

__all__ = ["Engine", "LocalEngine", "Pool", "local_engine"]
