"""The one rule for the shares that are held out of training, of documents and of labelled examples alike."""


def require_some_training(validation_fraction: float, test_fraction: float) -> None:
    """Raise a ValueError if the two shares leave nothing to train on."""
    if (held_out := validation_fraction + test_fraction) >= 1:
        raise ValueError(
            f"validation_fraction + test_fraction is {held_out:g}, which leaves nothing to train on; "
            "make their sum less than 1"
        )
