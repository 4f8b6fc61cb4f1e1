"""Replicas converge, to what the reference model says, whatever happens to them and to their messages."""

from hypothesis import settings

from tests.machine import Convergence

TestConvergence = Convergence.TestCase
TestConvergence.settings = settings(max_examples=settings.default.max_examples * 2, stateful_step_count=30)
