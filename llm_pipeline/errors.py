"""Every error this package raises on purpose.

PipelineError
├── InvalidInput          the caller sent something unusable        HTTP 422, exit 2
│   └── UnknownTarget     no such entry in the catalogue
├── NotFound              no such row                               HTTP 404, exit 3
│   └── Gone              there was one; it is deleted             HTTP 410
├── Conflict              someone else changed it first             HTTP 409, exit 4
├── NotAllowed            signed in, but the role is too low        HTTP 403, exit 5
├── NotSignedIn           no valid token or session                 HTTP 401, exit 5
├── GateFailed            a quality gate holds what comes after it  HTTP 409, exit 6
├── NothingToLearn        too few approved mappings to train on     HTTP 409, exit 7
├── ModelUnavailable      a saved model cannot be read              HTTP 503, exit 8
│   └── ModelOutdated     it was saved by another version
└── SetupError            ports, folders or settings are wrong      HTTP 500, exit 9

Each message names the bad value and what to do about it. `api/errors.py` maps the tree to HTTP,
`cli.py` to exit codes.
"""


class PipelineError(Exception):
    """Base of the tree; never raised itself."""


class InvalidInput(PipelineError):
    """The caller sent something unusable."""


class UnknownTarget(InvalidInput):
    """A target key that is not an active entry of the catalogue."""

    def __init__(self, key: str) -> None:
        super().__init__(
            f"target {key!r} is not an active entry of the catalogue; "
            "load it with `llm-pipeline targets load`, or choose one of GET /api/llm-center/targets"
        )
        self.key = key


class NotFound(PipelineError):
    """No row with that id."""


class Gone(NotFound):
    """What is asked for was there, and is deleted."""


class Conflict(PipelineError):
    """Someone else changed it first; read it again and decide again."""


class NotAllowed(PipelineError):
    """The caller's role does not reach."""


class NotSignedIn(PipelineError):
    """No valid token or session came with the request."""


class GateFailed(PipelineError):
    """A quality gate failed and holds everything downstream of it."""


class NothingToLearn(PipelineError):
    """There are too few approved mappings to train on."""


class ModelUnavailable(PipelineError):
    """A saved model is missing or damaged."""


class ModelOutdated(ModelUnavailable):
    """A saved model is of a format that this version does not read."""


class SetupError(PipelineError):
    """The machine or the settings do not let the program start."""
