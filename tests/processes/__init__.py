"""Teams of real processes on a network that fails, killed and frozen as they work: nothing acknowledged may be lost."""
