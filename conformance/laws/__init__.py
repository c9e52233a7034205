"""What every loss promises besides agreement, and `check`, which asks it of somebody else's loss."""
