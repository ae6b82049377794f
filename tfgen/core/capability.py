"""What a generative model can do, and the error of one that cannot."""

CAPABILITIES = {
    "sample_rows": "it has no sampler",
    "log_prob": "its density is not tractable",
    "log_prob_bound": "it has no bound on the likelihood",
    "encode": "it has no encoder",
    "decode": "it has no latent variables",
    "reconstruct": "it has no encoder",
    "complete": "it cannot condition on part of an example",
}
"""The methods a model may write, and why one that does not write it lacks it."""


class UnsupportedCapability(NotImplementedError):
    """Raised when a model is asked for something that its family cannot do."""

    def __init__(self, model: type, capability: str, able: list[str]) -> None:
        name = "sample" if capability == "sample_rows" else capability
        models = ", ".join(able) or "none yet"
        reason = CAPABILITIES[capability]
        super().__init__(f"{model.__name__} has no {name} ({reason}); models with {name}: {models}")
