"""Simulated examiners over real families: the parts of `tuning.simulate`. Pure."""
