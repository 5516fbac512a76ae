"""The brain: settings, catalogue, plan. Pure functions of files; never imports pulumi."""
