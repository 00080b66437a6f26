"""The errors crossfade raises. Each message is a short letter: who, which rule, what came, what to do.

CrossfadeError
├── PlanError (ValueError)       a plan, or the policy that draws it, breaks a rule of its own
├── ArrayError (TypeError)       an array of the wrong kind, shape, dtype or layout
│   └── LabelError (ValueError)  labels that no target can be made of
├── DataError                    the folder of pictures
├── CacheError                   the decoded copy of it
├── CheckpointError              weights on disk
├── ConfigError                  an option, a name, a configuration file, a folder to write into
├── TrainingError                a training that cannot go on
└── MissingExtra (ImportError)   an optional part that is not installed
"""


class CrossfadeError(Exception):
    """Anything crossfade refuses or cannot do."""


class PlanError(CrossfadeError, ValueError):
    """A plan, or the policy that draws it, breaks a rule of its own."""


class ArrayError(CrossfadeError, TypeError):
    """An array of the wrong kind, shape, dtype or layout."""


class LabelError(ArrayError, ValueError):
    """Labels that no target can be made of."""


class DataError(CrossfadeError):
    """The folder of pictures cannot be used as it is."""


class CacheError(CrossfadeError):
    """The decoded copy of the pictures cannot be written or read."""


class CheckpointError(CrossfadeError):
    """Weights on disk are damaged, or belong to something else."""


class ConfigError(CrossfadeError):
    """An option, a name, a configuration file or an output folder that cannot be used."""


class TrainingError(CrossfadeError):
    """A training that cannot go on, such as one whose loss is no longer a number."""


class MissingExtra(CrossfadeError, ImportError):
    """An optional part that is not installed; the message holds the pip line."""
