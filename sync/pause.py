"""How long what failed is left alone: twice as long each time, so that what can never succeed costs less and less."""

from __future__ import annotations

PATIENCE = 20  # looks, a second apart
LONGEST = 3600


class Pause:
    """Looks until something is tried again.

    >>> pause = Pause()
    >>> pause.failed()
    >>> pause.failed()
    >>> pause.left
    40
    """

    def __init__(self) -> None:
        self.left = 0
        self._length = 0

    def failed(self) -> None:
        """What was tried came to nothing, or is tried now and may."""
        self._length = min(max(PATIENCE, 2 * self._length), LONGEST)
        self.left = self._length

    def again(self) -> None:
        """Wait as long as the last time: nothing was tried that costs anything."""
        self.left = max(PATIENCE, self._length)

    def look(self) -> None:
        """A second has passed."""
        self.left = max(0, self.left - 1)
