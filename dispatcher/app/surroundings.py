"""May this process start in its environment?

Asked by the commands that serve before they load what obeys the environment (an HTTP client opens a
key log as it is imported), by `process` once more, and by `doctor`. Loads nothing of the kind.
"""

import os

from dispatcher.app.config import Config
from dispatcher.app.environment import KEY_LOG, STEERING, check_environment
from dispatcher.network.roots import known_roots


def check_surroundings(config: Config, *, carries_letters: bool = True) -> None:
    """Raise `ConfigInvalid` where the environment would steer this process."""
    ca_file = config.network.ca_file
    check_environment(
        os.environ,
        known_roots(config.base / ca_file if ca_file else None),
        tolerated=config.network.tolerated_variables,
        refused=STEERING if carries_letters else KEY_LOG,
    )
