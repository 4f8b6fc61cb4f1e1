"""Files of text below /memories, for a model that works with paths: no file system is touched.

A file is a text; records say which text a path stands for. So edits of one file merge by character, and a renamed
file keeps them. Every edit also names its file anew: a file that one agent deletes while another edits it stays, with
what the edit put in. Two agents that create one path at once write into one text. A folder is there as long as
something is in it.

What a path may not do is refused before anything is read: it stays below /memories, and is at most 180 characters.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterator

from crdtmem import CrdtmemError, Memory, NoMatch, ValueRefused
from crdtmem.adapters.together import together
from crdtmem.change import is_field
from crdtmem.fields.text import Text

ROOT = "/memories"
MAX_PATH = 180
_DEEP = 2  # levels that the view of a folder shows
_WIDE = 6  # columns of a line number
_PLACES = 20  # that are told where there should be one


class Files:
    """The files of one memory. What each call returns, and what its errors say, is for the model.

    >>> from crdtmem import Replica
    >>> files = Files(Replica("ann").open(tenant="acme"))
    >>> files.create("/memories/plan.md", "ask\\nwrite\\n")
    'File created successfully at: /memories/plan.md'
    >>> _ = files.insert("/memories/plan.md", 1, "check")
    >>> files.read("/memories/plan.md")
    'ask\\ncheck\\nwrite\\n'
    """

    def __init__(self, memory: Memory, *, field: str = "files") -> None:
        self.memory = memory
        self._names = memory.records(field)
        self._field = field

    def view(self, path: str, lines: list[int] | None = None) -> str:
        """A file with numbered lines, or some of them; or what is in a folder."""
        where = _checked(path)
        if where not in self._names:
            if where != ROOT and not self._inside(where):
                raise NoMatch(f"The path {path} does not exist. Please provide a valid path.")
            return self._listed(where)
        shown = self.read(where).split("\n")
        first, last = 1, len(shown)
        if lines is not None:
            if len(lines) != 2 or not all(isinstance(end, int) for end in lines):
                raise ValueRefused(f"Invalid `view_range` parameter: {lines!r:.80}. It should be two line numbers.")
            first, last = max(1, lines[0]), len(shown) if lines[1] == -1 else lines[1]
        return f"Here's the content of {where} with line numbers:\n" + _numbered(shown, first, last)

    def create(self, path: str, content: str) -> str:
        """A new file."""
        where = _checked(path)
        if where in self._names or where == ROOT or self._inside(where):
            raise ValueRefused(f"File {path} already exists")
        above = posixpath.dirname(where)
        while above != ROOT:
            if above in self._names:
                raise ValueRefused(f"{above} is a file; a file cannot be created inside it")
            above = posixpath.dirname(above)
        name = self._free(where)
        with together(self.memory):
            self._names.put(where, name)
            if content:
                self.memory.text(name).append(content)
        return f"File created successfully at: {path}"

    def replace(self, path: str, old: str, new: str) -> str:
        """Replace the one occurrence of a passage; what its beginning and end have in common with the new one stays."""

        def edit(text: Text, content: str) -> str:
            places = _places(content, old)
            if not places:
                raise NoMatch(f"No replacement was performed, old_str `{old:.500}` did not appear verbatim in {path}.")
            if len(places) > 1:
                found = ", ".join(str(content.count("\n", 0, place) + 1) for place in places)
                raise NoMatch(
                    f"No replacement was performed. Multiple occurrences of old_str `{old:.500}` in lines: {found}. "
                    "Please ensure it is unique"
                )
            _become(text, places[0], old, new)
            changed = content.count("\n", 0, places[0]) + 1
            shown = str(text).split("\n")
            return (
                "The memory file has been edited. Here is the snippet showing the change (with line numbers):\n"
                + _numbered(shown, max(1, changed - 2), changed + 2)
            )

        return self._edit(path, edit)

    def insert(self, path: str, line: int, passage: str) -> str:
        """Put lines behind a line; behind line 0 is the beginning."""

        def edit(text: Text, content: str) -> str:
            ends = [place + 1 for place, sign in enumerate(content) if sign == "\n"]
            if content and not content.endswith("\n"):
                ends.append(len(content))
            if not 0 <= line <= len(ends):
                raise ValueRefused(
                    f"Invalid `insert_line` parameter: {line}. It should be within the range [0, {len(ends)}]."
                )
            new = passage.rstrip("\n") + "\n"
            if content and not content.endswith("\n"):
                text.append("\n")
                ends[-1] += 1
            text.insert(ends[line - 1] if line else 0, new)
            return f"The file {path} has been edited."

        return self._edit(path, edit)

    def delete(self, path: str) -> str:
        """Delete a file, or a folder with all that is in it."""
        where = _checked(path)
        if where == ROOT:
            raise ValueRefused(f"Cannot delete the {ROOT} directory itself")
        gone = [where] if where in self._names else self._inside(where)
        if not gone:
            raise NoMatch(f"The path {path} does not exist")
        self._remove(gone)
        return f"Successfully deleted {path}"

    def rename(self, old: str, new: str) -> str:
        """Give a file or a folder another path."""
        source, target = _checked(old), _checked(new)
        if source == ROOT:
            raise ValueRefused(f"Cannot rename the {ROOT} directory itself")
        moved = [source] if source in self._names else self._inside(source)
        if not moved:
            raise NoMatch(f"The path {old} does not exist")
        if target == ROOT or target in self._names or self._inside(target):
            raise ValueRefused(f"The destination {new} already exists")
        if target.startswith(f"{source}/"):
            raise ValueRefused(f"Cannot rename {old} into itself")
        paths = [(path, _checked(target + path[len(source) :])) for path in moved]
        with together(self.memory):
            for path, wanted in paths:
                self._names.put(wanted, self._names[path])
                self._names.delete(path)
        return f"Successfully renamed {old} to {new}"

    def clear(self) -> str:
        """Delete all files."""
        self._remove(self._inside(ROOT))
        return "All memory cleared"

    def read(self, path: str) -> str:
        """What is in a file."""
        return str(self._text(_checked(path)))

    # -- inside ------------------------------------------------------------------------------------

    def _text(self, path: str) -> Text:
        name = self._names[path]
        if not self._is_ours(name):
            raise ValueRefused(f"{path} was written by another program and holds no file; delete it")
        return self.memory.text(name)

    def _is_ours(self, name: object) -> bool:
        """Whether this is a text of files: no record leads to another text of the memory."""
        return isinstance(name, str) and name.startswith(f"{self._field}:") and is_field(name)

    def _inside(self, folder: str) -> list[str]:
        """The paths in a folder; others may write to the field, and not all of it is a path."""
        return sorted(path for path in self._names if path.startswith(f"{folder}/") and _is_plain(path))

    def _free(self, path: str) -> str:
        """The name of a text for a new file: the same for all who create that path at once."""
        taken = {name for name in self._names.values() if self._is_ours(name)}
        name, number = f"{self._field}:{path}", 1
        while name in taken or str(self.memory.text(name)):
            number += 1
            name = f"{self._field}:{path}#{number}"
        return name

    def _edit(self, path: str, edit: Callable[[Text, str], str]) -> str:
        where = _checked(path)
        if where not in self._names:
            if where == ROOT or self._inside(where):
                raise NoMatch(f"The path {path} is not a file.")
            raise NoMatch(f"The path {path} does not exist. Please provide a valid path.")
        text = self._text(where)
        with together(self.memory):
            text.delete(0, 0)  # from here on this block reads its own copy, whatever arrives meanwhile
            said = edit(text, str(text))
            self._names.put(where, self._names[where])
        return said

    def _remove(self, paths: list[str]) -> None:
        with together(self.memory):
            gone = {name for name in map(self._names.get, paths) if self._is_ours(name)}
            for path in paths:
                self._names.delete(path)
            for name in gone - {name for name in self._names.values() if self._is_ours(name)}:
                self.memory.text(name).delete(0)  # a text may have got two paths, and stays for the other

    # -- folders -----------------------------------------------------------------------------------

    def _listed(self, folder: str) -> str:
        sizes = {path: self._bytes(path) for path in self._inside(folder)}
        head = f"Here're the files and directories up to {_DEEP} levels deep in {folder}, excluding hidden items:"
        below = {path[len(folder) + 1 :]: size for path, size in sizes.items()}
        lines = [f"{_size(sum(sizes.values()))}\t{folder}"]
        lines += [f"{_size(size)}\t{folder}/{path}" for path, size in _tree(below, "", 1)]
        return "\n".join([head, *lines])

    def _bytes(self, path: str) -> int:
        try:
            return len(self.read(path).encode())
        except CrdtmemError:
            return 0


def _tree(sizes: dict[str, int], above: str, level: int) -> Iterator[tuple[str, int]]:
    """What is in a folder, by name: files, and folders with what is in them."""
    for name in sorted({path.split("/")[0] for path in sizes}):
        if name.startswith("."):
            continue
        if name in sizes:
            yield above + name, sizes[name]
        inside = {path[len(name) + 1 :]: size for path, size in sizes.items() if path.startswith(f"{name}/")}
        if inside:
            yield f"{above}{name}/", sum(inside.values())
            if level < _DEEP:
                yield from _tree(inside, f"{above}{name}/", level + 1)


def _checked(path: str) -> str:
    if not isinstance(path, str) or not (path == ROOT or path.startswith(f"{ROOT}/")):
        raise ValueRefused(f"Path must start with {ROOT}, got: {path!s:.200}")
    plain = posixpath.normpath(path)
    if plain != ROOT and not plain.startswith(f"{ROOT}/"):
        raise ValueRefused(f"Path {path:.200} would escape {ROOT} directory")
    if not _is_plain(plain):
        raise ValueRefused(f"Path {path[:60]!r}... must be printable, and at most {MAX_PATH} characters long")
    return plain


def _is_plain(path: str) -> bool:
    return len(path) <= MAX_PATH and path.isprintable() and posixpath.normpath(path) == path


def _places(content: str, part: str) -> list[int]:
    """Where a part begins, overlapping ones too; of very many, the first."""
    if not part:
        raise ValueRefused("old_str is empty; give the text to be replaced, or use insert")
    found: list[int] = []
    at = content.find(part)
    while at >= 0 and len(found) < _PLACES:
        found.append(at)
        at = content.find(part, at + 1)
    return found


def _become(text: Text, place: int, old: str, new: str) -> None:
    """Replace what stands at a place, but for the beginning and the end that it keeps."""
    same = len(posixpath.commonprefix([old, new]))
    left = min(len(old), len(new)) - same
    tail = min(left, len(posixpath.commonprefix([old[::-1], new[::-1]])))
    text.delete(place + same, place + len(old) - tail)
    if len(new) > same + tail:
        text.insert(place + same, new[same : len(new) - tail])


def _numbered(lines: list[str], first: int, last: int) -> str:
    some = enumerate(lines[first - 1 : max(0, last)], start=first)
    return "\n".join(f"{number:>{_WIDE}}\t{line}" for number, line in some)


def _size(size: int) -> str:
    """A number of bytes for people.

    >>> _size(0), _size(512), _size(1536), _size(3 * 2**20)
    ('0B', '512B', '1.5K', '3M')
    """
    unit = 0
    scaled = float(size)
    while scaled >= 1024 and unit < 3:
        scaled /= 1024
        unit += 1
    return f"{scaled:.1f}".removesuffix(".0") + "BKMG"[unit]
