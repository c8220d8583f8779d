"""What happens by itself: rules over conversations, with a log of why."""
