"""The configuration file of `runcast serve`: its tables, and the sentences about mistakes in it."""

from runcast.server.config.config import Config, load_config
from runcast.server.config.file import ConfigError
from runcast.server.config.people import PeopleConfig

__all__ = ["Config", "ConfigError", "PeopleConfig", "load_config"]
