"""Tests of every loss on every library, and of the suite itself; they need pytest and a checkout."""
